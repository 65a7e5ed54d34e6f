/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel works on a batch inside sendmsg() and has queued every answer when
 * it returns: reading without waiting until the queue is empty is a complete
 * answer. A dump is different: each recvmsg() makes the kernel write the next
 * piece, so a large buffer saves calls (256 KiB measured 3 times faster than 8).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>

#include "ctl/nft/nft_socket.h"

#define NFT_REPLY_MAX (256 * 1024)
/* Thousands of errors of one batch must fit, else ENOBUFS hides the first. */
#define RCVBUF_BYTES	(8 << 20)
#define ANSWER_WAIT_SEC 30
/* Requests count here, batches from 0: an answer can never be taken for the other's. */
#define FIRST_SEQ 0x40000000u

static int open_socket(struct nft *n)
{
	struct timeval wait = { .tv_sec = ANSWER_WAIT_SEC };
	int one = 1, size = RCVBUF_BYTES, fd;

	n->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->socket)
		return -errno;
	if (mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	fd = mnl_socket_get_fd(n->socket);
	mnl_socket_setsockopt(n->socket, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(n->socket, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	/* Best effort: without the capability over the host the default has to do. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

/* After lost answers the socket may still owe half a dump: only a new one is clean. */
static int reopen(struct nft *n)
{
	if (n->socket)
		mnl_socket_close(n->socket);
	return open_socket(n);
}

struct nft *nft_open(struct err *e)
{
	struct nft *n = calloc(1, sizeof(*n));
	int rc;

	if (n)
		n->reply = malloc(NFT_REPLY_MAX);
	if (!n || !n->reply) {
		err_set(e, -ENOMEM, "out of memory");
		goto fail;
	}
	n->seq = FIRST_SEQ;
	rc = open_socket(n);
	if (!rc)
		return n;
	nft_refused(e, rc, "a netlink socket for nftables");
fail:
	nft_close(n);
	return NULL;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n->reply);
	free(n);
}

static int send_bytes(struct nft *n, const void *bytes, size_t len)
{
	ssize_t sent;

	do {
		sent = mnl_socket_sendto(n->socket, bytes, len);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Bytes received into n->reply, 0 for what did not come from the kernel, or -errno. */
static ssize_t receive(struct nft *n, int flags)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { n->reply, NFT_REPLY_MAX };
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t got;

	do {
		got = recvmsg(mnl_socket_get_fd(n->socket), &m, flags);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return from.nl_pid || m.msg_flags & MSG_TRUNC ? 0 : got;
}

/* ---- requests ---- */

struct nlmsghdr *nft_request_new(struct nft *n, char *buf, uint16_t type, uint16_t flags)
{
	if (++n->seq < FIRST_SEQ)
		n->seq = FIRST_SEQ;
	return nftnl_nlmsg_build_hdr(buf, type, NFPROTO_INET, NLM_F_REQUEST | flags, n->seq);
}

static int lost_answer(struct nft *n, int code, struct err *e)
{
	int rc = reopen(n);

	if (rc)
		return nft_refused(e, rc, "a netlink socket for nftables");
	if (code == -ENOBUFS)
		return -EINTR;
	return err_sys(e, code == -EAGAIN ? -EREMOTEIO : code, "no answer from nftables");
}

int nft_ask(struct nft *n, const struct nlmsghdr *nlh, nft_reader *reader, void *arg,
	    struct nft_answer *a, struct err *e)
{
	int rc = send_bytes(n, nlh, nlh->nlmsg_len);

	if (rc)
		return err_sys(e, rc, "cannot ask nftables");
	a->seq = nlh->nlmsg_seq;
	a->done = a->interrupted = false;
	a->error = 0;
	while (!a->done) {
		ssize_t got = receive(n, 0);

		if (got < 0)
			return lost_answer(n, (int)got, e);
		reader(n->reply, (size_t)got, arg, a);
	}
	return a->error ? a->error : a->interrupted ? -EINTR : 0;
}

static void read_ruleset(const void *bytes, size_t len, void *arg, struct nft_answer *a)
{
	nft_parse_answer(bytes, len, arg, a);
}

int nft_request(struct nft *n, const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a,
		struct err *e)
{
	return nft_ask(n, nlh, read_ruleset, rs, a, e);
}

int nft_genid(struct nft *n, uint32_t *genid, struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nft_answer a = { 0 };
	int rc, tries = 3;

	do {
		rc = nft_request(n, nft_request_new(n, buf, NFT_MSG_GETGEN, NLM_F_ACK), NULL, &a,
				 e);
	} while (rc == -EINTR && --tries);
	if (rc)
		return nft_refused(e, rc, "the ruleset generation");
	*genid = a.genid;
	return 0;
}

uint32_t nft_genid_next(uint32_t genid)
{
	return genid + 1 ? genid + 1 : 1;
}

/* ---- batches ---- */

static int send_batch(struct nft *n, const struct nft_batch *b)
{
	/* The kernel counts the socket buffer's own overhead too. */
	int fd = mnl_socket_get_fd(n->socket), size = (int)b->bytes.len + (1 << 16);

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return send_bytes(n, b->bytes.data, b->bytes.len);
}

/* What an earlier failure left in the queue must not be taken for this batch's answer. */
static void drain(struct nft *n)
{
	ssize_t got;

	do {
		got = receive(n, MSG_DONTWAIT);
	} while (got >= 0 || got == -ENOBUFS);
}

int nft_transact(struct nft *n, const struct nft_batch *b, struct nft_batch_answer *a,
		 struct err *e)
{
	bool lost = false;
	ssize_t got;
	int rc;

	*a = (struct nft_batch_answer){ 0 };
	if (b->bytes.len > INT32_MAX / 4)
		return err_set(e, -E2BIG, "a transaction of %zu bytes is too large", b->bytes.len);
	drain(n);
	rc = send_batch(n, b);
	if (rc == -EMSGSIZE)
		return err_set(e, rc,
			       "a transaction of %zu bytes is larger than this namespace may send: "
			       "raise net.core.wmem_max on the host",
			       b->bytes.len);
	if (rc)
		return err_sys(e, rc, "cannot send %zu bytes to nftables", b->bytes.len);
	while ((got = receive(n, MSG_DONTWAIT)) >= 0 || got == -ENOBUFS) {
		if (got > 0)
			nft_parse_batch_answer(n->reply, (size_t)got, a);
		lost |= got == -ENOBUFS;
	}
	if (got != -EAGAIN)
		return err_set(e, -EREMOTEIO, "no answer from nftables: %s", strerror((int)-got));
	if (lost && !a->refused)
		return err_set(e, -ENOBUFS,
			       "the answers of nftables were lost: read the table again");
	if (!a->acked && !a->refused)
		return err_set(e, -EPROTO, "nftables did not answer");
	return 0;
}
