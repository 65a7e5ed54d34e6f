// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * echod: the server of the test lab. It answers each line (TCP) or datagram
 * (UDP) with "TAG|PEER-IP|PAYLOAD", so that a test sees who answered and which
 * source address arrived.
 *
 * One thread, one epoll. A connection whose peer does not read its answers is
 * not read from either: memory stays bounded by the number of connections.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tool.h"

#define LINE_MAX_BYTES 16384
#define OUT_MAX_BYTES  (2 * (LINE_MAX_BYTES + 256))
#define UDP_MAX_BYTES  65536

enum kind { KIND_LISTEN, KIND_UDP, KIND_CONN };

struct node {
	enum kind kind;
	int fd;
};

struct conn {
	struct node node;
	char peer[INET6_ADDRSTRLEN];
	char *in, *out;
	size_t in_len, out_len, out_done;
	uint64_t received, sent, to_send;
	bool eof;
};

static const char usage[] =
	"usage: echod TAG [-t ADDR:PORT[-PORT]]... [-u ADDR:PORT[-PORT]]... [-r PORT-PORT]...\n"
	"             [--greet TEXT] [--sink] [--source BYTES] [--mute] [--deaf]\n"
	"             [--reset BYTES]\n"
	"  -t, -u       listen on TCP, UDP; ADDR is an address, [v6], or * for all of both "
	"families\n"
	"  -r           TCP and UDP on a range of ports of all addresses\n"
	"  --greet      send TEXT as a line before anything is read\n"
	"  --sink       count what comes, answer TAG|PEER|COUNT at end of file\n"
	"  --source     send BYTES, then close\n"
	"  --mute       take what comes, never answer\n"
	"  --deaf       take nothing of what comes\n"
	"  --reset      reset a connection on which BYTES have gone, both ways together\n"
	"Prints \"ready\" when everything listens. Exit: 1 = could not listen, 2 = usage.";

static const char *tag;
static const char *greet;
static bool sink, mute, deaf, reset;
static uint64_t reset_after;
static uint64_t source_bytes;
static int epoll_fd;
static char zeros[65536];

static void watch(struct node *n, uint32_t events, int op)
{
	struct epoll_event ev = { .events = events, .data.ptr = n };

	if (epoll_ctl(epoll_fd, op, n->fd, &ev)) {
		perror("epoll_ctl");
		exit(1);
	}
}

/* A family that the kernel does not have is skipped; the caller counts. */
static int listen_one(const union sockaddr_any *a, int type)
{
	int on = 1;
	int fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct node *n;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (type == SOCK_DGRAM) {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
		if (a->sa.sa_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
	}
	if (bind(fd, &a->sa, sockaddr_len(a)) || (type == SOCK_STREAM && listen(fd, 4096))) {
		int e = errno;

		close(fd);
		return -e;
	}
	n = calloc(1, sizeof *n);
	if (!n)
		exit(1);
	n->fd = fd;
	n->kind = type == SOCK_STREAM ? KIND_LISTEN : KIND_UDP;
	watch(n, EPOLLIN, EPOLL_CTL_ADD);
	return 0;
}

static void listen_port(const char *host, unsigned port, int type)
{
	union sockaddr_any a;
	int rc, rc6;

	if (strcmp(host, "*")) {
		ip_arg(host, &a);
		sockaddr_set_port(&a, port);
		rc = listen_one(&a, type);
	} else {
		sockaddr_parse_ip("0.0.0.0", &a);
		sockaddr_set_port(&a, port);
		rc = listen_one(&a, type);
		sockaddr_parse_ip("::", &a);
		sockaddr_set_port(&a, port);
		rc6 = listen_one(&a, type);
		if (!rc && rc6 != -EAFNOSUPPORT && rc6 != -EADDRNOTAVAIL)
			rc = rc6;
	}
	if (rc) {
		fprintf(stderr, "echod: %s port %u: %s\n", host, port, strerror(-rc));
		exit(1);
	}
}

static void listen_range(const char *spec, int type)
{
	char copy[128], *host, *ports, *dash;
	unsigned long from, to;

	if (strlen(spec) >= sizeof copy)
		die_usage("%s", usage);
	strcpy(copy, spec);
	if (!endpoint_split(copy, &host, &ports))
		die_usage("echod: expected ADDR:PORT, not %s", spec);
	dash = strchr(ports, '-');
	if (dash)
		*dash++ = 0;
	from = number_arg(ports, 0, 65535);
	to = number_arg(dash ? dash : ports, from, 65535);
	for (unsigned long p = from; p <= to; p++)
		listen_port(host, (unsigned)p, type);
}

static void conn_close(struct conn *c)
{
	close(c->node.fd);
	free(c->in);
	free(c->out);
	free(c);
}

static size_t out_free(const struct conn *c)
{
	return OUT_MAX_BYTES - c->out_len;
}

static void answer(struct conn *c, const char *payload, size_t len)
{
	int n = snprintf(c->out + c->out_len, out_free(c), "%s|%s|", tag, c->peer);

	c->out_len += (size_t)n;
	memcpy(c->out + c->out_len, payload, len);
	c->out_len += len;
	c->out[c->out_len++] = '\n';
}

/* Answers what is whole in the input as long as the answers have room. */
static void answer_lines(struct conn *c)
{
	size_t done = 0;

	while (done < c->in_len && out_free(c) > LINE_MAX_BYTES + 256) {
		char *nl = memchr(c->in + done, '\n', c->in_len - done);
		size_t len = nl ? (size_t)(nl - (c->in + done)) : c->in_len - done;
		size_t text;

		if (!nl && !c->eof && c->in_len - done < LINE_MAX_BYTES)
			break;
		text = len && c->in[done + len - 1] == '\r' ? len - 1 : len;
		answer(c, c->in + done, text);
		done += len + (nl ? 1 : 0);
	}
	memmove(c->in, c->in + done, c->in_len - done);
	c->in_len -= done;
}

static bool reset_is_due(const struct conn *c)
{
	return reset && c->received + c->sent >= reset_after;
}

/* false = the connection is over. */
static bool flush_out(struct conn *c)
{
	while ((c->out_done < c->out_len || c->to_send) && !reset_is_due(c)) {
		bool text = c->out_done < c->out_len;
		size_t want = text			  ? c->out_len - c->out_done
			      : c->to_send < sizeof zeros ? (size_t)c->to_send
							  : sizeof zeros;
		ssize_t n =
			send(c->node.fd, text ? c->out + c->out_done : zeros, want, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->sent += (uint64_t)n;
		if (text)
			c->out_done += (size_t)n;
		else
			c->to_send -= (uint64_t)n;
	}
	c->out_done = c->out_len = 0;
	return true;
}

static bool read_in(struct conn *c)
{
	ssize_t n = recv(c->node.fd, c->in + c->in_len, LINE_MAX_BYTES - c->in_len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		c->eof = true;
		return true;
	}
	c->received += (uint64_t)n;
	if (!sink && !mute)
		c->in_len += (size_t)n;
	return true;
}

/* Closed without lingering, a connection ends in a RST. */
static void conn_reset(struct conn *c)
{
	struct linger none = { .l_onoff = 1 };

	setsockopt(c->node.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static bool conn_step(struct conn *c, uint32_t events)
{
	bool was_eof = c->eof;
	uint32_t want = 0;

	if ((events & EPOLLERR) || ((events & EPOLLIN) && !c->eof && !read_in(c)))
		return false;
	if (c->eof && !was_eof && sink) {
		char count[32];

		answer(c, count,
		       (size_t)snprintf(count, sizeof count, "%llu",
					(unsigned long long)c->received));
	}
	answer_lines(c);
	if (!flush_out(c))
		return false;
	if (reset_is_due(c)) {
		conn_reset(c);
		return false;
	}
	answer_lines(c);
	if (source_bytes && !c->to_send && !c->out_len)
		return false;
	if (c->eof && !c->in_len && !c->out_len)
		return false;
	if (!c->eof && !deaf && c->in_len < LINE_MAX_BYTES)
		want |= EPOLLIN;
	if (c->out_len || c->to_send)
		want |= EPOLLOUT;
	watch(&c->node, want, EPOLL_CTL_MOD);
	return true;
}

static void conn_accept(int fd)
{
	for (;;) {
		union sockaddr_any a;
		socklen_t len = sizeof a;
		int s = accept4(fd, &a.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct conn *c;

		if (s < 0)
			return;
		c = calloc(1, sizeof *c);
		if (!c || !(c->in = malloc(LINE_MAX_BYTES)) || !(c->out = malloc(OUT_MAX_BYTES)))
			exit(1);
		c->node = (struct node){ KIND_CONN, s };
		sockaddr_ip(&a, c->peer);
		if (greet)
			c->out_len = (size_t)snprintf(c->out, LINE_MAX_BYTES, "%s\n", greet);
		c->to_send = source_bytes;
		watch(&c->node, 0, EPOLL_CTL_ADD);
		if (!conn_step(c, 0))
			conn_close(c);
	}
}

/* Answers from the address that was asked: the control data goes back as it came. */
static void udp_answer(int fd)
{
	static char in[UDP_MAX_BYTES], out[UDP_MAX_BYTES + 256];

	for (;;) {
		union sockaddr_any a;
		char peer[INET6_ADDRSTRLEN], control[256];
		struct iovec iov = { in, sizeof in };
		struct msghdr m = { .msg_name = &a,
				    .msg_namelen = sizeof a,
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof control };
		ssize_t n = recvmsg(fd, &m, 0);
		struct cmsghdr *h;
		int head;

		if (n < 0) {
			if (errno == EAGAIN)
				return;
			continue; /* an ICMP error of an earlier answer */
		}
		for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
				struct in_pktinfo *p = (struct in_pktinfo *)CMSG_DATA(h);

				p->ipi_spec_dst = p->ipi_addr;
				p->ipi_ifindex = 0;
			}
			if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
				struct in6_pktinfo *p = (struct in6_pktinfo *)CMSG_DATA(h);

				if (!IN6_IS_ADDR_LINKLOCAL(&p->ipi6_addr))
					p->ipi6_ifindex = 0;
			}
		}
		while (n > 0 && (in[n - 1] == '\n' || in[n - 1] == '\r'))
			n--;
		head = snprintf(out, sizeof out, "%s|%s|", tag, sockaddr_ip(&a, peer));
		memcpy(out + head, in, (size_t)n);
		out[head + n] = '\n';
		iov = (struct iovec){ out, (size_t)(head + n + 1) };
		sendmsg(fd, &m, MSG_NOSIGNAL);
	}
}

static void parse_args(int argc, char **argv)
{
	static const struct option longs[] = { { "greet", required_argument, NULL, 'g' },
					       { "sink", no_argument, NULL, 'k' },
					       { "source", required_argument, NULL, 'o' },
					       { "mute", no_argument, NULL, 'm' },
					       { "deaf", no_argument, NULL, 'd' },
					       { "reset", required_argument, NULL, 'x' },
					       { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	unsigned listeners = 0;
	char spec[64];
	int o;

	if (argc < 2)
		die_usage("%s", usage);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		other_option('h', usage);
	if (argv[1][0] == '-' || strlen(argv[1]) > 100)
		die_usage("%s", usage);
	tag = argv[1];
	optind = 2;
	while ((o = getopt_long(argc, argv, "t:u:r:h", longs, NULL)) != -1) {
		switch (o) {
		case 't':
			listen_range(optarg, SOCK_STREAM);
			break;
		case 'u':
			listen_range(optarg, SOCK_DGRAM);
			break;
		case 'r':
			snprintf(spec, sizeof spec, "*:%s", optarg);
			listen_range(spec, SOCK_STREAM);
			listen_range(spec, SOCK_DGRAM);
			break;
		case 'g':
			if (strlen(optarg) > 1000)
				die_usage("echod: the greeting is too long");
			greet = optarg;
			continue;
		case 'k':
			sink = true;
			continue;
		case 'm':
			mute = true;
			continue;
		case 'd':
			deaf = true;
			continue;
		case 'x':
			reset = true;
			reset_after = number_arg(optarg, 0, 1UL << 40);
			continue;
		case 'o':
			source_bytes = number_arg(optarg, 0, 1UL << 40);
			continue;
		default:
			other_option(o, usage);
		}
		listeners++;
	}
	if (optind != argc || !listeners)
		die_usage("%s", usage);
}

int main(int argc, char **argv)
{
	struct epoll_event ev[256];

	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) {
		perror("epoll_create1");
		return 1;
	}
	parse_args(argc, argv);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, ev, 256, -1);

		for (int i = 0; i < n; i++) {
			struct node *d = ev[i].data.ptr;

			if (d->kind == KIND_LISTEN)
				conn_accept(d->fd);
			else if (d->kind == KIND_UDP)
				udp_answer(d->fd);
			else if (!conn_step((struct conn *)d, ev[i].events))
				conn_close((struct conn *)d);
		}
	}
}
