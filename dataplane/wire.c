/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader never asks the kernel for a byte beyond the message it is in. That
 * costs a second system call a message, and makes it plain whose the descriptors
 * are: the kernel hands them out with the first byte that they were sent with,
 * so they are this message's or they are an offence. Reading ahead would leave
 * them to be guessed from what was glued together on the way.
 *
 * A length is believed only as far as its bytes have come: memory grows with
 * them. An end that failed once stays failed, and what it holds is closed by
 * wire_fini().
 */
#include "dataplane/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_BYTES 4
#define READ_BYTES   (64u << 10)  /* at once */
#define KEEP_BYTES   (256u << 10) /* of a buffer between messages */

struct wire_fds {
	struct wire_fds *next;
	size_t at; /* in `out` */
	unsigned n;
	bool own;
	int fds[WIRE_MAX_FDS];
};

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
};

void wire_init(struct wire *w, int fd, uint32_t max_in)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	w->max_in = max_in;
	w->max_out = WIRE_MAX_DOWN;
}

static void fds_close(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void out_fds_pop(struct wire *w)
{
	struct wire_fds *f = w->out_fds;

	w->out_fds = f->next;
	if (f->own)
		fds_close(f->fds, f->n);
	free(f);
}

void wire_fini(struct wire *w)
{
	fds_close(w->in_fds, w->n_in_fds);
	w->n_in_fds = 0;
	while (w->out_fds)
		out_fds_pop(w);
	buf_fini(&w->in);
	buf_fini(&w->out);
	w->out_done = 0;
}

size_t wire_queued(const struct wire *w)
{
	return w->out.len - w->out_done;
}

/* ---- sending ---- */

static int dump_part(const char *bytes, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_put(b, bytes, n);
	return b->failed ? -1 : 0;
}

/* Length and text behind what is queued; on failure `out` is as before. */
static int message_put(struct wire *w, const json_t *json)
{
	const size_t at = w->out.len;
	uint32_t length_be = 0;
	size_t n;

	buf_put(&w->out, &length_be, HEADER_BYTES);
	if (!json || w->out.failed || json_dump_callback(json, dump_part, &w->out, JSON_COMPACT)) {
		w->out.len = at;
		w->out.failed = false;
		return -ENOMEM;
	}
	n = w->out.len - at - HEADER_BYTES;
	if (n > w->max_out) {
		w->out.len = at;
		return -EMSGSIZE;
	}
	length_be = htonl((uint32_t)n);
	memcpy(w->out.data + at, &length_be, HEADER_BYTES);
	return 0;
}

static struct wire_fds *fds_new(const int *fds, unsigned n, bool own)
{
	struct wire_fds *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->n = n;
	f->own = own;
	memcpy(f->fds, fds, n * sizeof(*fds));
	return f;
}

static int message_queue(struct wire *w, const json_t *json, const int *fds, unsigned n_fds,
			 bool own_fds)
{
	struct wire_fds *f = NULL, **end = &w->out_fds;
	const size_t at = w->out.len;
	int rc;

	if (w->broken)
		return w->broken;
	if (n_fds > WIRE_MAX_FDS)
		return -EMSGSIZE;
	if (n_fds && !(f = fds_new(fds, n_fds, own_fds)))
		return -ENOMEM;
	rc = message_put(w, json);
	if (rc < 0 || !f) {
		free(f);
		return rc;
	}
	f->at = at;
	while (*end)
		end = &(*end)->next;
	*end = f;
	return 0;
}

int wire_send(struct wire *w, json_t *json, const int *fds, unsigned n_fds, bool own_fds)
{
	const int rc = message_queue(w, json, fds, n_fds, own_fds);

	if (rc < 0 && own_fds)
		fds_close(fds, n_fds);
	json_decref(json);
	return rc;
}

/* What may go in one call: descriptors go with the first byte of theirs, and only once. */
static size_t segment_bytes(const struct wire *w, const struct wire_fds **with)
{
	const struct wire_fds *f = w->out_fds;

	*with = f && f->at == w->out_done ? f : NULL;
	if (*with)
		f = f->next;
	return (f ? f->at : w->out.len) - w->out_done;
}

static ssize_t segment_send(const struct wire *w, size_t n, const struct wire_fds *with)
{
	struct iovec iov = { w->out.data + w->out_done, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control c = { 0 };
	ssize_t sent;

	if (with) {
		m.msg_control = c.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * with->n);
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(sizeof(int) * with->n);
		memcpy(CMSG_DATA(&c.align), with->fds, sizeof(int) * with->n);
	}
	do
		sent = sendmsg(w->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void out_is_sent(struct wire *w)
{
	w->out_done = 0;
	if (w->out.cap > KEEP_BYTES)
		buf_fini(&w->out);
	else
		buf_reset(&w->out);
}

int wire_flush(struct wire *w)
{
	while (!w->broken && wire_queued(w)) {
		const struct wire_fds *with;
		const size_t n = segment_bytes(w, &with);
		const ssize_t sent = segment_send(w, n, with);

		if (sent == -EAGAIN)
			return -EAGAIN;
		if (sent < 0)
			return w->broken = (int)sent;
		w->out_done += (size_t)sent;
		if (with)
			out_fds_pop(w);
	}
	if (!w->broken)
		out_is_sent(w);
	return w->broken;
}

/* ---- receiving ---- */

static int wire_break(struct wire *w, int code)
{
	return w->broken = code;
}

/* Whatever the kernel gave us is ours to close, also where it is too much. */
static bool fds_take(struct wire *w, struct msghdr *m)
{
	bool fits = !(m->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const unsigned char *at = CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); n; n--) {
			int fd;

			memcpy(&fd, at, sizeof(fd));
			at += sizeof(fd);
			if (w->n_in_fds < WIRE_MAX_FDS) {
				w->in_fds[w->n_in_fds++] = fd;
				continue;
			}
			close(fd);
			fits = false;
		}
	}
	return fits;
}

/* Bytes that came, 0: none for now, negative: broken. */
static ssize_t read_some(struct wire *w, size_t n, struct err *e)
{
	struct iovec iov = { .iov_len = n < READ_BYTES ? n : READ_BYTES };
	union control c;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof(c)
	};
	const unsigned before = w->n_in_fds;
	ssize_t got;

	iov.iov_base = buf_reserve(&w->in, iov.iov_len);
	if (!iov.iov_base)
		return err_set(e, wire_break(w, -ENOMEM), "out of memory");
	do
		got = recvmsg(w->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return err_set(e, wire_break(w, -EPIPE), "the other side is gone%s",
			       w->in.len ? ", in the middle of a message" : "");
	if (got < 0)
		return err_sys(e, wire_break(w, -errno), "receive");
	if (!fds_take(w, &m))
		return err_set(e, wire_break(w, -EPROTO),
			       "descriptors were lost: more than %d in a "
			       "message, or none are free here",
			       WIRE_MAX_FDS);
	if (w->n_in_fds > before && w->in.len)
		return err_set(e, wire_break(w, -EPROTO), "descriptors in the middle of a message");
	w->in.len += (size_t)got;
	return got;
}

static uint32_t message_bytes(const struct wire *w)
{
	uint32_t length_be;

	memcpy(&length_be, w->in.data, HEADER_BYTES);
	return ntohl(length_be);
}

/* Bytes of the message that have not come; known once its header has. */
static int missing_bytes(struct wire *w, size_t *missing, struct err *e)
{
	uint32_t n;

	if (w->in.len < HEADER_BYTES) {
		*missing = HEADER_BYTES - w->in.len;
		return 0;
	}
	n = message_bytes(w);
	if (!n || n > w->max_in)
		return err_set(e, wire_break(w, -EPROTO), "a message of %u bytes; it has 1 to %u",
			       n, w->max_in);
	*missing = HEADER_BYTES + (size_t)n - w->in.len;
	return 0;
}

json_t *wire_parse(const char *text, size_t n, struct err *e)
{
	json_error_t at;
	json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);

	/* jansson's sentence can quote the text, which is foreign: only the place is told. */
	if (!json) {
		const bool oom = json_error_code(&at) == json_error_out_of_memory;

		err_set(e, oom ? -ENOMEM : -EPROTO, "what came is no JSON (at byte %d)",
			at.position);
		return NULL;
	}
	if (json_is_string(json_object_get(json, "type")))
		return json;
	json_decref(json);
	err_set(e, -EPROTO, "what came is no message: an object with a \"type\"");
	return NULL;
}

static int message_take(struct wire *w, struct wire_message *m, struct err *e)
{
	json_t *json = wire_parse(w->in.data + HEADER_BYTES, w->in.len - HEADER_BYTES, e);

	if (!json)
		return wire_break(w, e && e->code ? e->code : -EPROTO);
	m->json = json;
	m->n_fds = w->n_in_fds;
	memcpy(m->fds, w->in_fds, w->n_in_fds * sizeof(*m->fds));
	w->n_in_fds = 0;
	if (w->in.cap > KEEP_BYTES)
		buf_fini(&w->in);
	else
		buf_reset(&w->in);
	return 1;
}

int wire_receive(struct wire *w, struct wire_message *m, struct err *e)
{
	size_t missing = 0;

	if (w->broken)
		return err_sys(e, w->broken, "the wire");
	for (;;) {
		ssize_t got;
		int rc = missing_bytes(w, &missing, e);

		if (rc < 0)
			return rc;
		if (!missing)
			return message_take(w, m, e);
		got = read_some(w, missing, e);
		if (got <= 0)
			return (int)got;
	}
}

void wire_message_fini(struct wire_message *m)
{
	json_decref(m->json);
	m->json = NULL;
	fds_close(m->fds, m->n_fds);
	m->n_fds = 0;
}

const char *wire_message_type(const struct wire_message *m)
{
	return json_string_value(json_object_get(m->json, "type"));
}
