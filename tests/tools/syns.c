// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * syns: the same TCP SYN again and again, with data behind it or without, as no
 * kernel would send it. Nobody waits for answers; the sending host's own kernel
 * would reset the connection, which the test has to keep from leaving.
 */
#include <getopt.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "tool.h"

#define MAX_DATA 1400

static const char usage[] = "usage: syns ADDR:PORT -s SOURCE:PORT -n COUNT [-m BYTES]\n"
			    "Sends COUNT SYNs with BYTES of data each (IPv4).\n"
			    "Prints \"N sent\". Exit: 0 = all were sent, 1 = not all, 2 = usage.";

static union sockaddr_any target, source;
static unsigned long count, data_bytes;

static uint32_t sum_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* Over the pseudo header and the segment (RFC 9293, 3.1). */
static uint16_t checksum(const void *segment, size_t len)
{
	uint32_t sum = IPPROTO_TCP + (uint32_t)len;

	sum = sum_words(sum, &source.in.sin_addr, 4);
	sum = sum_words(sum, &target.in.sin_addr, 4);
	sum = sum_words(sum, segment, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t build(uint8_t *segment)
{
	struct tcphdr h = { .th_sport = source.in.sin_port,
			    .th_dport = target.in.sin_port,
			    .th_seq = htonl(1),
			    .th_off = sizeof h / 4,
			    .th_flags = TH_SYN,
			    .th_win = htons(1000) };
	size_t len = sizeof h + data_bytes;

	memset(segment, 'x', len);
	memcpy(segment, &h, sizeof h);
	h.th_sum = checksum(segment, len);
	memcpy(segment, &h, sizeof h);
	return len;
}

static void parse_args(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:n:m:h")) != -1) {
		switch (o) {
		case 's':
			endpoint_arg(optarg, &source);
			break;
		case 'n':
			count = number_arg(optarg, 1, 10000000);
			break;
		case 'm':
			data_bytes = number_arg(optarg, 0, MAX_DATA);
			break;
		default:
			other_option(o, usage);
		}
	}
	if (argc - optind != 1 || !count)
		die_usage("%s", usage);
	endpoint_arg(argv[optind], &target);
	if (source.sa.sa_family != AF_INET || target.sa.sa_family != AF_INET)
		die_usage("%s", usage);
}

int main(int argc, char **argv)
{
	union sockaddr_any from, to;
	uint8_t segment[sizeof(struct tcphdr) + MAX_DATA];
	unsigned long sent = 0;
	size_t len;
	int fd;

	parse_args(argc, argv);
	from = source;
	to = target;
	sockaddr_set_port(&from, 0);
	sockaddr_set_port(&to, 0);
	len = build(segment);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0 || bind(fd, &from.sa, sockaddr_len(&from))) {
		perror("syns");
		return 1;
	}
	while (sent < count &&
	       sendto(fd, segment, len, 0, &to.sa, sockaddr_len(&to)) == (ssize_t)len)
		sent++;
	close(fd);
	printf("%lu sent\n", sent);
	return sent == count ? 0 : 1;
}
