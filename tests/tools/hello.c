// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hello: a TLS client's first flight, cut as asked, and what came back as one line:
 *
 *   alert 112     a fatal or warning alert, by its number
 *   bytes TEXT    printable: up to the end of its line
 *   bytes HEX     else: the first --read bytes
 *   closed, reset, refused, unreachable, timeout, error
 *
 * The hello is good enough for a real server (TLS 1.2 and 1.3) to answer it. A server that refuses
 * while it is still being sent is no error of ours: what it said is read all the same.
 */
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tool.h"

#define STREAM_MAX  (1 << 20)
#define ANSWER_MAX  4096
#define ALERT_BYTES 7

static const char usage[] =
	"usage: hello ADDR:PORT [--sni NAME] [--tls 1.2|1.3] [--alpn NAME] [--pad BYTES]\n"
	"             [--records BYTES] [--file FILE] [--proxy LINE] [--before FILE]\n"
	"             [--segment BYTES] [--delay MS] [--source ADDR] [--read BYTES] [--timeout "
	"MS]\n"
	"  --sni, --alpn  server_name (default: none), the one protocol of ALPN\n"
	"  --tls          only this version (default: both)\n"
	"  --pad          the message is made this long (RFC 7685)\n"
	"  --records      bytes per TLS record (default: 16384)\n"
	"  --file         sends these bytes instead of a hello\n"
	"  --proxy        this line and CRLF first; --before: the bytes of a file first\n"
	"  --segment      bytes per write, with TCP_NODELAY; --delay: pause between two\n"
	"  --read         how many bytes to wait for where they are no text (default 7)\n"
	"Exit: 0 = something came back, 1 = nothing did, 2 = usage.";

struct bytes {
	uint8_t v[STREAM_MAX];
	size_t n;
};

static union sockaddr_any target, source;
static bool have_source;
static const char *sni, *alpn, *tls, *file, *proxy, *before;
static unsigned long pad, per_record = 16384, segment = STREAM_MAX, delay_ms, timeout_ms = 2000,
			  want = ALERT_BYTES;

/* ---- what is sent ---- */

static void put(struct bytes *b, const void *v, size_t n)
{
	if (n > sizeof b->v - b->n)
		die_usage("hello: more than %d bytes", STREAM_MAX);
	memcpy(b->v + b->n, v, n);
	b->n += n;
}

static void put_number(struct bytes *b, unsigned long v, unsigned bytes)
{
	while (bytes--) {
		uint8_t byte = (uint8_t)(v >> 8 * bytes);

		put(b, &byte, 1);
	}
}

/* Room for a length of so many bytes; length_end() fills it in. */
static size_t length_begin(struct bytes *b, unsigned bytes)
{
	put_number(b, 0, bytes);
	return b->n;
}

static void length_end(struct bytes *b, size_t begin, unsigned bytes)
{
	size_t v = b->n - begin;

	for (unsigned i = 1; i <= bytes; i++, v >>= 8)
		b->v[begin - i] = (uint8_t)v;
}

static void put_ext(struct bytes *b, unsigned type, const void *v, size_t n)
{
	put_number(b, type, 2);
	put_number(b, n, 2);
	put(b, v, n);
}

static void put_sni(struct bytes *b, const char *name)
{
	size_t n = strlen(name);

	put_number(b, 0, 2);
	put_number(b, n + 5, 2);
	put_number(b, n + 3, 2);
	put_number(b, 0, 1);
	put_number(b, n, 2);
	put(b, name, n);
}

static void put_alpn(struct bytes *b, const char *name)
{
	size_t n = strlen(name);

	put_number(b, 16, 2);
	put_number(b, n + 3, 2);
	put_number(b, n + 1, 2);
	put_number(b, n, 1);
	put(b, name, n);
}

static void put_extensions(struct bytes *b, size_t message)
{
	static const uint8_t groups[] = { 0, 4, 0, 29, 0, 23 }, points[] = { 1, 0 };
	static const uint8_t both[] = { 4, 3, 4, 3, 3 }, one[] = { 2, 3, 4 }, modes[] = { 1, 1 };
	static const uint8_t signatures[] = { 0, 10, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5 };
	/* Any 32 bytes are a public key of X25519. */
	static const uint8_t share[38] = { 0, 36, 0, 29, 0, 32, 9 };

	if (sni)
		put_sni(b, sni);
	if (alpn)
		put_alpn(b, alpn);
	put_ext(b, 10, groups, sizeof groups);
	put_ext(b, 11, points, sizeof points);
	put_ext(b, 13, signatures, sizeof signatures);
	if (!tls)
		put_ext(b, 43, both, sizeof both);
	else if (!strcmp(tls, "1.3"))
		put_ext(b, 43, one, sizeof one);
	if (!tls || !strcmp(tls, "1.3")) {
		put_ext(b, 45, modes, sizeof modes);
		put_ext(b, 51, share, sizeof share);
	}
	if (pad < b->n - message + 4)
		return;
	pad -= b->n - message + 4;
	put_number(b, 21, 2);
	put_number(b, pad, 2);
	for (; pad; pad--)
		put_number(b, 0, 1);
}

static void put_message(struct bytes *b)
{
	static const uint8_t ciphers[] = { 0x13, 1,    0x13, 2,	   0xc0, 0x2b, 0xc0,
					   0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0,    0x9c };
	size_t start = b->n, message, extensions;

	put_number(b, 1, 1);
	message = length_begin(b, 3);
	put_number(b, 0x0303, 2);
	for (unsigned i = 0; i < 32; i++)
		put_number(b, i * 37 + 5, 1);
	put_number(b, 0, 1);
	put_number(b, sizeof ciphers, 2);
	put(b, ciphers, sizeof ciphers);
	put_number(b, 0x0100, 2);
	extensions = length_begin(b, 2);
	put_extensions(b, start);
	length_end(b, extensions, 2);
	length_end(b, message, 3);
}

static void put_records(struct bytes *b, const struct bytes *message)
{
	for (size_t at = 0; at < message->n; at += per_record) {
		size_t left = message->n - at, n = left < per_record ? left : per_record;

		put_number(b, 0x160301, 3);
		put_number(b, n, 2);
		put(b, message->v + at, n);
	}
}

static void put_file(struct bytes *b, const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t chunk[4096];
	size_t n;

	if (!f)
		die_usage("hello: %s: %s", path, strerror(errno));
	while ((n = fread(chunk, 1, sizeof chunk, f)))
		put(b, chunk, n);
	fclose(f);
}

static void put_stream(struct bytes *b)
{
	static struct bytes message;

	if (before)
		put_file(b, before);
	if (proxy) {
		put(b, proxy, strlen(proxy));
		put(b, "\r\n", 2);
	}
	if (file) {
		put_file(b, file);
		return;
	}
	put_message(&message);
	put_records(b, &message);
}

/* ---- the connection ---- */

static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = now_ms();
	int n = poll(&p, 1, deadline > now ? (int)(deadline - now) : 0);

	return n > 0 ? 0 : n == 0 ? ETIMEDOUT : errno;
}

/* 0 or errno. */
static int connect_by(int *out, uint64_t deadline)
{
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, e = 0;
	socklen_t len = sizeof e;

	if (fd < 0)
		return errno;
	*out = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (have_source && bind(fd, &source.sa, sockaddr_len(&source)))
		return errno;
	if (!connect(fd, &target.sa, sockaddr_len(&target)))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	e = wait_for(fd, POLLOUT, deadline);
	if (!e)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

static void pause_ms(unsigned long ms)
{
	const struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Ends early when the other side takes no more: its answer says why. */
static void send_stream(int fd, const struct bytes *b, uint64_t deadline)
{
	size_t at = 0;

	while (at < b->n) {
		size_t n = b->n - at < segment ? b->n - at : segment;
		ssize_t sent = send(fd, b->v + at, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent < 0 && wait_for(fd, POLLOUT, deadline))
			return;
		at += sent > 0 ? (size_t)sent : 0;
		if (sent > 0 && at < b->n && delay_ms)
			pause_ms(delay_ms);
	}
}

/* ---- what came back ---- */

static bool is_text(uint8_t c)
{
	return c >= ' ' && c <= '~';
}

static bool is_enough(const uint8_t *v, size_t n)
{
	if (!n)
		return false;
	return is_text(v[0]) ? memchr(v, '\n', n) || n == ANSWER_MAX : n >= want;
}

static enum outcome receive(int fd, uint8_t *v, size_t *n, uint64_t deadline)
{
	while (!is_enough(v, *n)) {
		int e = wait_for(fd, POLLIN, deadline);
		ssize_t got = e ? -1 : recv(fd, v + *n, ANSWER_MAX - *n, 0);

		if (!got)
			return OUT_CLOSED;
		if (got < 0 && !e && errno == EAGAIN)
			continue;
		if (got < 0)
			return outcome_of_errno(e ? e : errno);
		*n += (size_t)got;
	}
	return OUT_OK;
}

static void print_answer(const uint8_t *v, size_t n)
{
	if (n >= ALERT_BYTES && v[0] == 21 && v[1] == 3) {
		printf("alert %u\n", v[6]);
		return;
	}
	fputs("bytes ", stdout);
	if (is_text(v[0])) {
		for (size_t i = 0; i < n && v[i] != '\n'; i++)
			putchar(is_text(v[i]) ? v[i] : '.');
	} else {
		for (size_t i = 0; i < n && i < want; i++)
			printf("%02x", v[i]);
	}
	putchar('\n');
}

static int run(const struct bytes *b)
{
	static uint8_t answer[ANSWER_MAX];
	uint64_t deadline = now_ms() + timeout_ms;
	enum outcome o;
	size_t n = 0;
	int fd = -1, e = connect_by(&fd, deadline);

	if (!e)
		send_stream(fd, b, deadline);
	o = e ? outcome_of_errno(e) : receive(fd, answer, &n, deadline);
	if (n)
		print_answer(answer, n);
	else
		puts(outcome_word(o));
	if (fd >= 0)
		close(fd);
	return n ? 0 : 1;
}

enum {
	OPT_SNI = 256,
	OPT_ALPN,
	OPT_TLS,
	OPT_PAD,
	OPT_RECORDS,
	OPT_FILE,
	OPT_PROXY,
	OPT_BEFORE,
	OPT_SEGMENT,
	OPT_DELAY,
	OPT_SOURCE,
	OPT_READ,
	OPT_TIMEOUT
};

static const struct option longs[] = { { "sni", required_argument, NULL, OPT_SNI },
				       { "alpn", required_argument, NULL, OPT_ALPN },
				       { "tls", required_argument, NULL, OPT_TLS },
				       { "pad", required_argument, NULL, OPT_PAD },
				       { "records", required_argument, NULL, OPT_RECORDS },
				       { "file", required_argument, NULL, OPT_FILE },
				       { "proxy", required_argument, NULL, OPT_PROXY },
				       { "before", required_argument, NULL, OPT_BEFORE },
				       { "segment", required_argument, NULL, OPT_SEGMENT },
				       { "delay", required_argument, NULL, OPT_DELAY },
				       { "source", required_argument, NULL, OPT_SOURCE },
				       { "read", required_argument, NULL, OPT_READ },
				       { "timeout", required_argument, NULL, OPT_TIMEOUT },
				       { "help", no_argument, NULL, 'h' },
				       { NULL, 0, NULL, 0 } };

static void take_option(int o, const char *arg)
{
	switch (o) {
	case OPT_SNI:
		sni = arg;
		break;
	case OPT_ALPN:
		alpn = arg;
		break;
	case OPT_TLS:
		tls = arg;
		if (strcmp(tls, "1.2") && strcmp(tls, "1.3"))
			die_usage("hello: --tls 1.2 or 1.3, not %s", tls);
		break;
	case OPT_PAD:
		pad = number_arg(arg, 1, 65000);
		break;
	case OPT_RECORDS:
		per_record = number_arg(arg, 1, 65535);
		break;
	case OPT_FILE:
		file = arg;
		break;
	case OPT_PROXY:
		proxy = arg;
		break;
	case OPT_BEFORE:
		before = arg;
		break;
	case OPT_SEGMENT:
		segment = number_arg(arg, 1, STREAM_MAX);
		break;
	case OPT_DELAY:
		delay_ms = number_arg(arg, 0, 60000);
		break;
	case OPT_SOURCE:
		ip_arg(arg, &source);
		have_source = true;
		break;
	case OPT_READ:
		want = number_arg(arg, 1, ANSWER_MAX);
		break;
	case OPT_TIMEOUT:
		timeout_ms = number_arg(arg, 1, 600000);
		break;
	default:
		other_option(o, usage);
	}
}

int main(int argc, char **argv)
{
	static struct bytes stream;
	int o;

	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		take_option(o, optarg);
	if (argc - optind != 1)
		die_usage("%s", usage);
	endpoint_arg(argv[optind], &target);
	if (have_source && source.sa.sa_family != target.sa.sa_family)
		die_usage("hello: source and target are of different families");
	put_stream(&stream);
	return run(&stream);
}
