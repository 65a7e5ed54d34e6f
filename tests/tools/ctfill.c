/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctfill: fills this namespace's connection table with entries that the kernel does not throw out
 * for new ones (assured UDP flows between 198.18.0.0/15 addresses, which nobody has), until it
 * takes no more or COUNT are in. Prints how many were sent. Raw netlink, libc only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH	  128
#define MSG_BYTES 256
#define STATUS	  (2 | 4 | 8) /* IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED */

struct out {
	uint8_t bytes[BATCH * MSG_BYTES];
	size_t len;
};

static struct nlattr *put(struct out *o, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)(void *)(o->bytes + o->len);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len)
		memcpy(a + 1, data, len);
	o->len += NLA_ALIGN(a->nla_len);
	return a;
}

static void end(struct out *o, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(o->bytes + o->len - (uint8_t *)nest);
}

static void put_tuple(struct out *o, uint16_t type, uint32_t src, uint32_t dst, uint16_t sport,
		      uint16_t dport)
{
	const uint8_t udp = IPPROTO_UDP;
	uint32_t src_be = htonl(src), dst_be = htonl(dst);
	uint16_t sport_be = htons(sport), dport_be = htons(dport);
	struct nlattr *tuple = put(o, type | NLA_F_NESTED, NULL, 0), *part;

	part = put(o, CTA_TUPLE_IP | NLA_F_NESTED, NULL, 0);
	put(o, CTA_IP_V4_SRC, &src_be, 4);
	put(o, CTA_IP_V4_DST, &dst_be, 4);
	end(o, part);
	part = put(o, CTA_TUPLE_PROTO | NLA_F_NESTED, NULL, 0);
	put(o, CTA_PROTO_NUM, &udp, 1);
	put(o, CTA_PROTO_SRC_PORT, &sport_be, 2);
	put(o, CTA_PROTO_DST_PORT, &dport_be, 2);
	end(o, part);
	end(o, tuple);
}

static void put_entry(struct out *o, uint32_t i)
{
	uint32_t a = 0xc6120000 + i / 50000, b = 0xc6130000; /* 198.18.x.x, 198.19.0.0 */
	uint16_t port = (uint16_t)(10000 + i % 50000);
	const uint32_t status = htonl(STATUS), timeout = htonl(600);
	size_t at = o->len;
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)(o->bytes + at);
	struct nfgenmsg *g = (struct nfgenmsg *)(void *)(h + 1);

	memset(h, 0, NLMSG_LENGTH(sizeof(*g)));
	o->len += NLMSG_LENGTH(sizeof(*g));
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	h->nlmsg_seq = i + 1;
	g->nfgen_family = AF_INET;
	put_tuple(o, CTA_TUPLE_ORIG, a, b, port, 9);
	put_tuple(o, CTA_TUPLE_REPLY, b, a, 9, port);
	put(o, CTA_STATUS, &status, 4);
	put(o, CTA_TIMEOUT, &timeout, 4);
	h->nlmsg_len = (uint32_t)(o->len - at);
}

/* Errors come only for what the kernel did not take: true when it is full. */
static int is_full(int fd)
{
	uint8_t answer[8192];
	ssize_t n;
	int full = 0;

	while ((n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const void *)answer;
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_ERROR && e->error == -ENOMEM)
			full = 1;
		else if (h->nlmsg_type == NLMSG_ERROR && e->error) {
			fprintf(stderr, "ctfill: %s\n", strerror(-e->error));
			exit(1);
		}
	}
	return full || (n < 0 && errno == ENOBUFS);
}

int main(int argc, char **argv)
{
	static _Alignas(8) struct out o;
	uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0, i = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (!count || fd < 0) {
		fprintf(stderr, "usage: ctfill COUNT\n");
		return 2;
	}
	while (i < count) {
		o.len = 0;
		for (unsigned k = 0; k < BATCH && i < count; k++)
			put_entry(&o, i++);
		if (send(fd, o.bytes, o.len, 0) < 0) {
			perror("ctfill");
			return 1;
		}
		if (is_full(fd))
			break;
	}
	printf("%u\n", i);
	return 0;
}
