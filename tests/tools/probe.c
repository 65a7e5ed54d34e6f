// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe: the client of the test lab. Sends a line, prints the answer, or one
 * word for how it failed: refused, timeout, reset, closed, unreachable, error.
 *
 * Attempts run -c at a time in one thread with poll(2); each has its own
 * deadline, so nothing here can wait for ever.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tool.h"

#define ANSWER_MAX_BYTES 65536
#define MAX_TAGS	 64

enum phase { PHASE_IDLE, PHASE_CONNECTING, PHASE_WAITING };

struct attempt {
	enum phase phase;
	int fd;
	uint64_t deadline_ms;
	char *answer;
	size_t len;
	unsigned lines;
};

static const char usage[] =
	"usage: probe tcp|udp ADDR:PORT [-s SOURCE] [-p SOURCE-PORT] [-m PAYLOAD] [-w TIMEOUT-MS]\n"
	"             [-n COUNT [-c CONCURRENCY] [--tally]] [--silent] [--lines N]\n"
	"             [--hold [--reset]] [--bulk BYTES] [--drain]\n"
	"  -n, -c       COUNT attempts, -c at a time; prints \"N ok, N refused, ...\"\n"
	"  --tally      prints \"TAG COUNT\" lines instead, then failures as \"WORD COUNT\"\n"
	"  --silent     sends nothing, waits for the server to speak\n"
	"  --lines N    waits for N lines of answer (default 1)\n"
	"  --hold       one connection; sends each line of stdin and prints its answer\n"
	"  --reset      that one ends with a reset, however it ends (TCP)\n"
	"  --bulk       sends BYTES, shuts down, prints what comes back (TCP)\n"
	"  --drain      reads to end of file, prints the number of bytes (TCP)\n"
	"Exit: 0 = every attempt was answered, 1 = not all, 2 = usage.";

static union sockaddr_any target, source;
static bool have_source, udp, silent, tally, hold, reset, drain;
static unsigned long source_port, count = 1, concurrency = 1, timeout_ms = 2000, want_lines = 1;
static unsigned long bulk_bytes;
static bool have_bulk, have_count;
static const char *payload = "hi";

static unsigned long outcomes[N_OUTCOMES];
static struct {
	char tag[128];
	unsigned long n;
} tags[MAX_TAGS];
static unsigned n_tags;

static void count_tag(const char *answer)
{
	size_t len = strcspn(answer, "|\n");
	unsigned i;

	if (len >= sizeof tags[0].tag)
		len = sizeof tags[0].tag - 1;
	for (i = 0; i < n_tags; i++)
		if (strlen(tags[i].tag) == len && !memcmp(tags[i].tag, answer, len))
			break;
	if (i == MAX_TAGS)
		return;
	if (i == n_tags) {
		memcpy(tags[i].tag, answer, len);
		n_tags++;
	}
	tags[i].n++;
}

static int by_tag(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void print_tally(void)
{
	qsort(tags, n_tags, sizeof tags[0], by_tag);
	for (unsigned i = 0; i < n_tags; i++)
		printf("%s %lu\n", tags[i].tag, tags[i].n);
	for (int i = 1; i < N_OUTCOMES; i++)
		if (outcomes[i])
			printf("%s %lu\n", outcome_word((enum outcome)i), outcomes[i]);
}

/* A connected or connecting non-blocking socket, or -errno. */
static int socket_start(void)
{
	int on = 1;
	int fd = socket(target.sa.sa_family,
			(udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int e;

	if (fd < 0)
		return -errno;
	if (have_source || source_port) {
		if (!have_source)
			source.sa.sa_family = target.sa.sa_family;
		sockaddr_set_port(&source, (unsigned)source_port);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (!source_port)
			setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		if (bind(fd, &source.sa, sockaddr_len(&source)))
			goto fail;
	}
	if (connect(fd, &target.sa, sockaddr_len(&target)) && errno != EINPROGRESS)
		goto fail;
	return fd;
fail:
	e = errno;
	close(fd);
	return -e;
}

static int socket_error(int fd)
{
	int e = 0;
	socklen_t len = sizeof e;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

/* One send: a test line is far below any socket buffer. */
static int send_payload(int fd, const char *text)
{
	char line[ANSWER_MAX_BYTES];
	int n = snprintf(line, sizeof line, "%s\n", text);

	if (n < 0 || (size_t)n >= sizeof line)
		return EMSGSIZE;
	return send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static void finish(struct attempt *a, enum outcome o)
{
	outcomes[o]++;
	if (a->fd >= 0)
		close(a->fd);
	a->phase = PHASE_IDLE;
	if (o == OUT_OK && tally)
		count_tag(a->answer);
	if (have_count)
		return;
	if (o == OUT_OK)
		fwrite(a->answer, 1, a->len, stdout);
	else
		puts(outcome_word(o));
}

static void connected(struct attempt *a)
{
	int e = silent ? 0 : send_payload(a->fd, payload);

	if (e)
		finish(a, outcome_of_errno(e));
	else
		a->phase = PHASE_WAITING;
}

static void begin(struct attempt *a)
{
	int fd = socket_start();

	a->fd = fd;
	a->len = 0;
	a->lines = 0;
	a->deadline_ms = now_ms() + timeout_ms;
	a->phase = PHASE_CONNECTING;
	if (fd < 0)
		finish(a, outcome_of_errno(-fd));
	else if (udp)
		connected(a);
}

static void receive(struct attempt *a)
{
	ssize_t n = recv(a->fd, a->answer + a->len, ANSWER_MAX_BYTES - 1 - a->len, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			finish(a, outcome_of_errno(errno));
		return;
	}
	if (n == 0 && !udp) {
		finish(a, OUT_CLOSED);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		a->lines += a->answer[a->len + (size_t)i] == '\n';
	a->len += (size_t)n;
	a->answer[a->len] = 0;
	if (a->lines >= want_lines || a->len == ANSWER_MAX_BYTES - 1)
		finish(a, OUT_OK);
}

static void advance(struct attempt *a, short revents)
{
	int e;

	if (a->phase == PHASE_WAITING) {
		if (revents)
			receive(a);
	} else if (revents) {
		e = socket_error(a->fd);
		if (e)
			finish(a, outcome_of_errno(e));
		else
			connected(a);
	}
	if (a->phase != PHASE_IDLE && now_ms() >= a->deadline_ms)
		finish(a, OUT_TIMEOUT);
}

static int run_attempts(void)
{
	struct attempt *all = calloc(concurrency, sizeof *all);
	struct pollfd *p = calloc(concurrency, sizeof *p);
	unsigned long started = 0, active;

	if (!all || !p)
		return 1;
	for (unsigned long i = 0; i < concurrency; i++)
		if (!(all[i].answer = malloc(ANSWER_MAX_BYTES)))
			return 1;
	do {
		uint64_t next = UINT64_MAX, now;

		active = 0;
		for (unsigned long i = 0; i < concurrency; i++) {
			struct attempt *a = &all[i];

			while (a->phase == PHASE_IDLE && started < count) {
				started++;
				begin(a);
			}
			p[i] = (struct pollfd){ .fd = -1 };
			if (a->phase == PHASE_IDLE)
				continue;
			active++;
			p[i].fd = a->fd;
			p[i].events = a->phase == PHASE_CONNECTING ? POLLOUT : POLLIN;
			if (a->deadline_ms < next)
				next = a->deadline_ms;
		}
		if (!active)
			break;
		now = now_ms();
		poll(p, concurrency, next > now ? (int)(next - now) : 0);
		for (unsigned long i = 0; i < concurrency; i++)
			if (all[i].phase != PHASE_IDLE)
				advance(&all[i], p[i].revents);
	} while (true);
	if (tally)
		print_tally();
	else if (have_count)
		outcome_print(stdout, outcomes);
	return outcomes[OUT_OK] == count ? 0 : 1;
}

/* Waits for `events`; 0 or errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = now_ms();
	int n = poll(&p, 1, deadline > now ? (int)(deadline - now) : 0);

	return n > 0 ? 0 : n == 0 ? ETIMEDOUT : errno;
}

static int open_one(void)
{
	int fd = socket_start();
	int e = fd < 0 ? -fd : 0;

	if (!e && !udp)
		e = wait_for(fd, POLLOUT, now_ms() + timeout_ms);
	if (!e)
		e = socket_error(fd);
	if (!e)
		return fd;
	puts(outcome_word(outcome_of_errno(e)));
	exit(1);
}

/* Reads one line of answer byte by byte: it must not take what belongs to the next. */
static enum outcome read_line(int fd, char *out, size_t cap)
{
	uint64_t deadline = now_ms() + timeout_ms;
	size_t len = 0;

	while (len + 1 < cap) {
		int e = wait_for(fd, POLLIN, deadline);
		ssize_t n;

		if (e)
			return outcome_of_errno(e);
		n = recv(fd, out + len, udp ? cap - 1 - len : 1, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return outcome_of_errno(errno);
		if (n == 0 && !udp)
			return OUT_CLOSED;
		len += (size_t)n;
		if (len && out[len - 1] == '\n')
			break;
	}
	out[len] = 0;
	return OUT_OK;
}

static int run_hold(void)
{
	static char line[ANSWER_MAX_BYTES - 2], answer[ANSWER_MAX_BYTES];
	const struct linger at_once = { 1, 0 };
	int fd = open_one();
	int rc = 0;

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("open");
	while (fgets(line, sizeof line, stdin)) {
		enum outcome o;
		int e;

		line[strcspn(line, "\n")] = 0;
		e = send_payload(fd, line);
		o = e ? outcome_of_errno(e) : read_line(fd, answer, sizeof answer);
		if (o == OUT_OK) {
			fputs(answer, stdout);
			continue;
		}
		puts(outcome_word(o));
		rc = 1;
		if (o != OUT_TIMEOUT && !(udp && o == OUT_REFUSED))
			break;
	}
	close(fd);
	return rc;
}

/* Sends and reads at once, so that an echo server cannot block us. The last line says how much. */
static int run_bulk(void)
{
	static char chunk[65536], in[65536];
	int fd = open_one();
	uint64_t sent = 0, received = 0, start = now_ms(), last = start;
	enum outcome o = OUT_OK;

	memset(chunk, 'x', sizeof chunk);
	for (size_t i = 1023; i < sizeof chunk; i += 1024)
		chunk[i] = '\n';
	if (have_bulk && !bulk_bytes)
		shutdown(fd, SHUT_WR);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (sent < bulk_bytes)
			p.events |= POLLOUT;
		if (poll(&p, 1, 100) <= 0) {
			if (now_ms() - last < timeout_ms)
				continue;
			o = OUT_TIMEOUT;
			break;
		}
		last = now_ms();
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			n = recv(fd, in, sizeof in, 0);
			if (n == 0)
				break;
			if (n < 0 && errno != EAGAIN) {
				o = outcome_of_errno(errno);
				break;
			}
			if (n > 0 && !drain)
				fwrite(in, 1, (size_t)n, stdout);
			received += n > 0 ? (uint64_t)n : 0;
		}
		if (p.revents & POLLOUT) {
			size_t want =
				bulk_bytes - sent < sizeof chunk ? bulk_bytes - sent : sizeof chunk;

			n = send(fd, chunk, want, MSG_NOSIGNAL);
			if (n > 0)
				sent += (uint64_t)n;
			if (sent == bulk_bytes)
				shutdown(fd, SHUT_WR);
		}
	}
	if (o != OUT_OK)
		puts(outcome_word(o));
	else if (drain)
		printf("%llu\n", (unsigned long long)received);
	fprintf(stderr, "sent %llu received %llu in %llu ms\n", (unsigned long long)sent,
		(unsigned long long)received, (unsigned long long)(now_ms() - start));
	close(fd);
	return o == OUT_OK && sent == bulk_bytes ? 0 : 1;
}

static void parse_args(int argc, char **argv)
{
	enum { OPT_TALLY = 256, OPT_SILENT, OPT_LINES, OPT_HOLD, OPT_RESET, OPT_BULK, OPT_DRAIN };
	static const struct option longs[] = { { "tally", no_argument, NULL, OPT_TALLY },
					       { "silent", no_argument, NULL, OPT_SILENT },
					       { "lines", required_argument, NULL, OPT_LINES },
					       { "hold", no_argument, NULL, OPT_HOLD },
					       { "reset", no_argument, NULL, OPT_RESET },
					       { "bulk", required_argument, NULL, OPT_BULK },
					       { "drain", no_argument, NULL, OPT_DRAIN },
					       { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "s:p:m:n:c:w:h", longs, NULL)) != -1) {
		switch (o) {
		case 's':
			ip_arg(optarg, &source);
			have_source = true;
			break;
		case 'p':
			source_port = number_arg(optarg, 1, 65535);
			break;
		case 'm':
			payload = optarg;
			break;
		case 'n':
			count = number_arg(optarg, 1, 1000000);
			have_count = true;
			break;
		case 'c':
			concurrency = number_arg(optarg, 1, 20000);
			break;
		case 'w':
			timeout_ms = number_arg(optarg, 1, 600000);
			break;
		case OPT_TALLY:
			tally = have_count = true;
			break;
		case OPT_SILENT:
			silent = true;
			break;
		case OPT_LINES:
			want_lines = number_arg(optarg, 1, 1000);
			break;
		case OPT_HOLD:
			hold = true;
			break;
		case OPT_RESET:
			reset = true;
			break;
		case OPT_BULK:
			bulk_bytes = number_arg(optarg, 0, 1UL << 40);
			have_bulk = true;
			break;
		case OPT_DRAIN:
			drain = true;
			break;
		default:
			other_option(o, usage);
		}
	}
	if (argc - optind != 2)
		die_usage("%s", usage);
	udp = !strcmp(argv[optind], "udp");
	if (!udp && strcmp(argv[optind], "tcp"))
		die_usage("probe: tcp or udp, not %s", argv[optind]);
	endpoint_arg(argv[optind + 1], &target);
	if (have_source && source.sa.sa_family != target.sa.sa_family)
		die_usage("probe: source and target are of different families");
	if (udp && (have_bulk || drain))
		die_usage("probe: --bulk and --drain are for tcp");
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	parse_args(argc, argv);
	if (hold)
		return run_hold();
	if (have_bulk || drain)
		return run_bulk();
	if (concurrency > count)
		concurrency = count;
	return run_attempts();
}
