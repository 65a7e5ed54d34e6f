/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sock_diag: listening sockets, and the answer to a request for one; and the same as the lines of
 * /proc/net. The input is a stream of netlink messages and text at once.
 *
 * covers: ctl/host/host_sock_parse.c
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>

#include "ctl/host/host_sock.h"
#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

static void check_listener(const struct host_listener *l)
{
	fuzz_check(l->port && (l->addr.family == ADDR_V4 || l->addr.family == ADDR_V6));
	fuzz_check(!l->v6_only || l->addr.family == ADDR_V6);
}

static void fuzz_messages(const uint8_t *p, size_t left)
{
	const struct nlmsghdr *h;
	unsigned v6_only = 0, v4 = 0;

	while ((h = nft_next_message(&p, &left))) {
		struct host_listener l = { .proto = IPPROTO_TCP };
		struct inet_diag_msg m;
		int rc;

		if (host_sock_parse(h, &l)) {
			check_listener(&l);
			v6_only += l.v6_only && !addr_is_unspecified(&l.addr);
			v4 += l.addr.family == ADDR_V4;
		}
		rc = host_sock_parse_answer(h, h->nlmsg_len, h->nlmsg_seq, &m);
		fuzz_check(rc != -EAGAIN || h->nlmsg_type == NLMSG_ERROR);
		fuzz_check(host_sock_parse_answer(h, h->nlmsg_len, h->nlmsg_seq + 1, &m) ==
			   -EAGAIN);
	}
	/* One that takes no IPv4 at an address of its own, beside one of IPv4. */
	fuzz_planted(v6_only && v4);
}

static void fuzz_lines(char *rest)
{
	static const int families[] = { AF_INET, AF_INET6 };
	const char *line;

	while ((line = strsep(&rest, "\n")))
		for (int i = 0; i < 4; i++) {
			struct host_listener l;

			if (host_sock_parse_line(line, i & 1 ? IPPROTO_UDP : IPPROTO_TCP,
						 families[i / 2], &l))
				check_listener(&l);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	char *text = fuzz_text(data, size);

	fuzz_messages(copy, size);
	fuzz_lines(text);
	free(copy);
	free(text);
	return 0;
}
