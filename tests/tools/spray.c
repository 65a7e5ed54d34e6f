// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spray: one UDP datagram from each of many consecutive source addresses, for
 * "what if there are 100 000 clients" tests. Nobody waits for answers. The
 * sources need not be configured one by one: a local route for their prefix is
 * enough (`ip route add local 20.0.0.0/8 dev lo`).
 */
#include <getopt.h>
#include <unistd.h>

#include "tool.h"

static const char usage[] = "usage: spray ADDR:PORT -s FIRST-SOURCE -n COUNT\n"
			    "Sends a datagram from FIRST-SOURCE, the next address and so on; of "
			    "IPv6 from the next /64.\n"
			    "Prints \"N sent\". Exit: 0 = all were sent, 1 = not all, 2 = usage.";

static union sockaddr_any target, source;
static unsigned long count;

static void next_source(void)
{
	uint8_t *last = source.sa.sa_family == AF_INET ? (uint8_t *)&source.in.sin_addr + 3
						       : (uint8_t *)&source.in6.sin6_addr + 7;

	for (int i = 0; i < 4 && !++*last; i++)
		last--;
}

/* The source address goes with the datagram, so one socket serves for all. */
static size_t put_source(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (source.sa.sa_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = source.in.sin_addr };

		*c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof info);
		return CMSG_SPACE(sizeof info);
	}
	struct in6_pktinfo info = { .ipi6_addr = source.in6.sin6_addr };

	*c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO };
	memcpy(CMSG_DATA(c), &info, sizeof info);
	return CMSG_SPACE(sizeof info);
}

static bool send_one(int fd)
{
	static char payload[] = "hi\n";
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct iovec v = { payload, sizeof payload - 1 };
	struct msghdr m = { .msg_name = &target,
			    .msg_namelen = sockaddr_len(&target),
			    .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof control.bytes };

	m.msg_controllen = put_source(&m);
	/* What came back for an earlier one is reported here: that is not this one's failure. */
	for (int tries = 0; tries < 3; tries++)
		if (sendmsg(fd, &m, 0) >= 0)
			return true;
	return false;
}

static void parse_args(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:n:h")) != -1) {
		if (o == 's')
			ip_arg(optarg, &source);
		else if (o == 'n')
			count = number_arg(optarg, 1, 10000000);
		else
			other_option(o, usage);
	}
	if (argc - optind != 1 || !count)
		die_usage("%s", usage);
	endpoint_arg(argv[optind], &target);
	if (target.sa.sa_family != source.sa.sa_family)
		die_usage("%s", usage);
}

int main(int argc, char **argv)
{
	unsigned long sent = 0;
	int on = 1, fd;

	parse_args(argc, argv);
	fd = socket(target.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		perror("spray: socket");
		return 1;
	}
	if (target.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
	for (unsigned long i = 0; i < count; i++, next_source())
		sent += send_one(fd);
	printf("%lu sent\n", sent);
	close(fd);
	return sent == count ? 0 : 1;
}
