/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire: messages between the controller (root) and a dataplane (no privileges)
 * over a stream socket: a 32-bit length in network order, then that many bytes
 * of one JSON object with a "type"; descriptors (SCM_RIGHTS) travel with the
 * first byte of their message, at most WIRE_MAX_FDS each.
 *
 * Controller -> dataplane (at most WIRE_MAX_DOWN bytes):
 *   start     {workers, helloMax, dns}   once, first
 *   access    {}, fd                     where access lines go, once, before a load that has them
 *   listeners {listeners:[{id, address, port, worker}]}, one fd each, in order
 *   pipes     {}, fds: read end, write end, read end, …
 *   load      {generation, routes, …}   the routing table of route.h
 *   switch    {generation, open:[listener ids], close:[listener ids]}; the one that is served
 *             already, where none is loaded: only the listeners change
 *   discard   {generation}              a loaded one that is not going to be switched to
 *   dns       {dns}                     as in start: /etc/resolv.conf or /etc/hosts has changed
 *   names     {names:[{name, addresses}]}  last-good answers from before
 *   down      {targets:[{route, tag}]}  after a switch: down already, as another one found
 *   query     {seq, what:"status"|"conns", from}
 *   end       {route: id | absent = all, reason}   ends connections
 *   drain     {timeout}                 accepts no more; ends when all are gone
 *   ping      {seq}
 * Dataplane -> controller (at most WIRE_MAX_UP bytes; foreign bytes to root):
 *   started   {pid}
 *   loaded    {generation}              or failed {generation, route, message}
 *   switched  {generation}
 *   answer    {seq, more, …}            of a query, in parts
 *   target    {route, tag, up, reason}  health changed
 *   name      {name, addresses, ttl}    it resolves to something else now
 *   notice    {level, message}          a line for the log
 *   drained   {}
 *   pong      {seq, rounds:[per worker]}
 */
#ifndef DATAPLANE_WIRE_H
#define DATAPLANE_WIRE_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/base/buf.h"
#include "ctl/base/err.h"

#define WIRE_MAX_DOWN (256u << 20)
#define WIRE_MAX_UP   65536u
#define WIRE_MAX_FDS  64

struct wire {
	int fd; /* non-blocking, owned by the caller */
	uint32_t max_in;
	uint32_t max_out; /* of one message: WIRE_MAX_DOWN until the owner lowers it */
	struct buf in, out;
	size_t out_done; /* bytes of `out` that are sent */
	int in_fds[WIRE_MAX_FDS];
	unsigned n_in_fds;
	struct wire_fds *out_fds; /* with the byte of `out` that they go with */
	int broken;		  /* what it failed with: it stays so */
};

struct wire_message {
	json_t *json; /* new */
	int fds[WIRE_MAX_FDS];
	unsigned n_fds;
};

void wire_init(struct wire *w, int fd, uint32_t max_in);
void wire_fini(struct wire *w); /* closes descriptors that nobody took */
/* Queues it; json is taken over, fds are duplicated by the kernel when it is sent and stay the
 * caller's until wire_flush() says 0 (own_fds: they are closed then, or when this fails). -ENOMEM,
 * -EMSGSIZE (over max_out, or too many fds), or what the wire failed with. */
int wire_send(struct wire *w, json_t *json, const int *fds, unsigned n_fds, bool own_fds);
/* 0 = all is sent, -EAGAIN = wait for EPOLLOUT, else it is broken. */
int wire_flush(struct wire *w);
/* Bytes that wait to be sent: who does not read must not make us keep ever more. */
size_t wire_queued(const struct wire *w);
/* 1: *m is filled (end it with wire_message_fini); 0: nothing whole yet; negative: broken, e says
 * why (-EPIPE: the other side is gone; -EPROTO: it sent what is no message; -ENOMEM). Call until 0.
 * m->json is an object with a string "type". */
int wire_receive(struct wire *w, struct wire_message *m, struct err *e);
void wire_message_fini(struct wire_message *m); /* closes what was not set to -1 */
/* Its "type"; never NULL. */
const char *wire_message_type(const struct wire_message *m);
/* The text of one message, without its length, as wire_receive() takes it: NULL where it would
 * call the wire broken. */
json_t *wire_parse(const char *text, size_t n, struct err *e);

#endif
