/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conntrack_parse.c reads the messages, libnetfilter_conntrack writes them, libmnl moves them:
 * nfct_query() cannot tell a lost answer from the end of a dump.
 *
 * A dump is collected before anybody sees it, so that it can be asked for
 * again (ENOBUFS), and so that deleting does not move the table under it. The
 * kernel walks hash buckets: when the table is resized meanwhile, an entry may
 * come twice; its id is then seen twice and told once.
 *
 * Deleting names the original tuple, the zone and the kernel's id of the entry
 * (CTA_ID): a newer flow with the same tuple is -ENOENT, not deleted - unless
 * it got the very memory of the old one: the id is a hash of address and tuple,
 * and the kernel has nothing finer.
 */
#include "ctl/host/conntrack.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "ctl/base/io.h"
#include "ctl/host/conntrack_parse.h"
#include "ctl/host/host_netlink.h"

#define ANSWER_TIMEOUT_S 10
#define DUMP_TRIES	 8
#define RCVBUF_BYTES	 (4 << 20)

#define NEARLY_FULL_PERCENT 80

struct flows {
	struct ct_flow *v;
	size_t n, cap;
	bool any; /* foreign flows, too */
};

static int ct_open(struct mnl_socket **out, struct err *e)
{
	const struct timeval wait = { .tv_sec = ANSWER_TIMEOUT_S };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int size = RCVBUF_BYTES, fd, rc;

	if (!nl && errno == EPROTONOSUPPORT)
		return err_set(e, EOPNOTSUPP, "this kernel has no netfilter netlink (nfnetlink)");
	if (!nl)
		return err_sys(e, errno, "cannot open a conntrack netlink socket");
	fd = mnl_socket_get_fd(nl);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0) {
		rc = err_sys(e, errno, "cannot open a conntrack netlink socket");
		mnl_socket_close(nl);
		return rc;
	}
	/* More than a dump needs; only ENOBUFS is less likely with it. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*out = nl;
	return 0;
}

static struct nlmsghdr *ct_header(void *buf, uint16_t type, uint16_t flags, uint8_t family,
				  uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

/* ---- reading ---- */

const char *conntrack_state_name(const struct ct_flow *f)
{
	static const char *const tcp[] = {
		[TCP_CONNTRACK_NONE] = "NONE",	       [TCP_CONNTRACK_SYN_SENT] = "SYN_SENT",
		[TCP_CONNTRACK_SYN_RECV] = "SYN_RECV", [TCP_CONNTRACK_ESTABLISHED] = "ESTABLISHED",
		[TCP_CONNTRACK_FIN_WAIT] = "FIN_WAIT", [TCP_CONNTRACK_CLOSE_WAIT] = "CLOSE_WAIT",
		[TCP_CONNTRACK_LAST_ACK] = "LAST_ACK", [TCP_CONNTRACK_TIME_WAIT] = "TIME_WAIT",
		[TCP_CONNTRACK_CLOSE] = "CLOSE",       [TCP_CONNTRACK_SYN_SENT2] = "SYN_SENT2",
	};

	if (f->proto != IPPROTO_TCP)
		return f->assured ? "ASSURED" : f->answered ? "REPLIED" : "UNREPLIED";
	return f->tcp_state < sizeof(tcp) / sizeof(*tcp) ? tcp[f->tcp_state] : "UNKNOWN";
}

static int flows_add(struct flows *fs, const struct ct_flow *f)
{
	if (fs->n == fs->cap) {
		size_t cap = fs->cap ? fs->cap * 2 : 64;
		struct ct_flow *v = realloc(fs->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		fs->v = v;
		fs->cap = cap;
	}
	fs->v[fs->n++] = *f;
	return 0;
}

static int dump_message(const struct nlmsghdr *h, void *arg)
{
	struct flows *fs = arg;
	struct ct_flow f;

	if (conntrack_parse(h, fs->any, &f) && flows_add(fs, &f) < 0) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int flow_cmp(const void *a, const void *b)
{
	const struct ct_flow *x = a, *y = b;

	if (x->ct_id != y->ct_id)
		return x->ct_id < y->ct_id ? -1 : 1;
	if (x->client_port != y->client_port)
		return x->client_port < y->client_port ? -1 : 1;
	return addr_cmp(&x->client, &y->client);
}

static void flows_unique(struct flows *fs)
{
	size_t n = 0;

	if (fs->n)
		qsort(fs->v, fs->n, sizeof(*fs->v), flow_cmp);
	for (size_t i = 0; i < fs->n; i++)
		if (!n || flow_cmp(&fs->v[n - 1], &fs->v[i]) != 0)
			fs->v[n++] = fs->v[i];
	fs->n = n;
}

static int flows_read(struct mnl_socket *nl, uint32_t *seq, struct flows *fs, struct err *e)
{
	char request[256];
	int rc = -ENOBUFS;

	for (int try = 0; try < DUMP_TRIES && (rc == -ENOBUFS || rc == -EINTR); try++) {
		/* AF_UNSPEC: both families in one walk of the table. */
		struct nlmsghdr *h =
			ct_header(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, ++*seq);

		fs->n = 0;
		if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
			rc = -errno;
		else
			rc = host_netlink_receive(nl, *seq, dump_message, fs);
	}
	/* nfnetlink answers EINVAL for a subsystem that is not there. */
	if (rc == -EINVAL || rc == -EOPNOTSUPP) {
		rc = err_set(e, EOPNOTSUPP,
			     "the kernel cannot list connections: no "
			     "nf_conntrack_netlink");
		err_hint(e, "modprobe nf_conntrack_netlink");
		return rc;
	}
	if (rc == -EPERM)
		return err_set(e, EPERM, "listing the kernel's connections needs CAP_NET_ADMIN");
	if (rc)
		return err_sys(e, rc, "cannot list the kernel's connections");
	flows_unique(fs);
	return 0;
}

int conntrack_each(int (*fn)(const struct ct_flow *f, void *arg), void *arg, struct err *e)
{
	struct flows fs = { 0 };
	struct mnl_socket *nl;
	uint32_t seq = 0;
	int rc = ct_open(&nl, e);

	if (rc)
		return rc;
	rc = flows_read(nl, &seq, &fs, e);
	mnl_socket_close(nl);
	for (size_t i = 0; !rc && i < fs.n; i++)
		rc = fn(&fs.v[i], arg);
	free(fs.v);
	return rc;
}

/* ---- deleting ---- */

static void tuple_set(struct nf_conntrack *ct, const struct ct_flow *f)
{
	bool is_v4 = f->client.family == ADDR_V4;

	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, is_v4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, f->proto);
	nfct_set_attr(ct, is_v4 ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC, f->client.bytes);
	nfct_set_attr(ct, is_v4 ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST, f->local.bytes);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(f->client_port));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(f->local_port));
}

/* 0 = deleted, -ENOENT = it went by itself. */
static int flow_delete(struct mnl_socket *nl, uint32_t seq, const struct ct_flow *f)
{
	struct nf_conntrack *ct = nfct_new();
	uint8_t family = f->client.family == ADDR_V4 ? AF_INET : AF_INET6;
	char request[1024];
	struct nlmsghdr *h;
	int rc = 0;

	if (!ct)
		return -ENOMEM;
	h = ct_header(request, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family, seq);
	tuple_set(ct, f);
	if (nfct_nlmsg_build(h, ct) < 0)
		rc = -EINVAL;
	nfct_destroy(ct);
	if (rc)
		return rc;
	/* Not left to the library: without the id a newer flow of this tuple would go. */
	mnl_attr_put_u32(h, CTA_ID, htonl(f->ct_id));
	if (f->zone)
		mnl_attr_put_u16(h, CTA_ZONE, htons(f->zone));
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	return host_netlink_receive(nl, seq, NULL, NULL);
}

static int delete_flows(bool any, bool (*want)(const struct ct_flow *f, void *arg), void *arg,
			unsigned *n, struct err *e)
{
	struct flows fs = { .any = any };
	struct mnl_socket *nl;
	unsigned deleted = 0;
	uint32_t seq = 0;
	int rc = ct_open(&nl, e);

	if (rc)
		return rc;
	rc = flows_read(nl, &seq, &fs, e);
	for (size_t i = 0; !rc && i < fs.n; i++) {
		int one;

		if (want && !want(&fs.v[i], arg))
			continue;
		one = flow_delete(nl, ++seq, &fs.v[i]);
		if (!one)
			deleted++;
		else if (one != -ENOENT)
			rc = err_sys(e, one, "cannot delete a connection from the kernel's table");
	}
	mnl_socket_close(nl);
	free(fs.v);
	if (!rc && n)
		*n = deleted;
	return rc;
}

int conntrack_delete(bool (*want)(const struct ct_flow *f, void *arg), void *arg, unsigned *n,
		     struct err *e)
{
	return delete_flows(false, want, arg, n, e);
}

int conntrack_delete_any(bool (*want)(const struct ct_flow *f, void *arg), void *arg, unsigned *n,
			 struct err *e)
{
	return delete_flows(true, want, arg, n, e);
}

static bool read_number(const char *name, unsigned long *out)
{
	char path[64], text[24], *end;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	if (io_read_text(path, text, sizeof(text), NULL))
		return false;
	*out = strtoul(text, &end, 10);
	return end != text;
}

bool conntrack_room(struct conntrack_room *out)
{
	*out = (struct conntrack_room){ 0 };
	if (!read_number("nf_conntrack_count", &out->used) ||
	    !read_number("nf_conntrack_max", &out->max) || !out->max)
		return false;
	out->nearly_full = out->used >= out->max / 100 * NEARLY_FULL_PERCENT +
						out->max % 100 * NEARLY_FULL_PERCENT / 100;
	return true;
}
