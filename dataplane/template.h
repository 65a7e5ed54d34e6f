/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * template: a target's host that each connection fills in: {domain} (the name in
 * its hello), {label:N} (the Nth label of that from the left), {port} (where it
 * came in), {clientIp}. Pure, bounded, allocates nothing. What a client says goes
 * in only if it is of letters, digits, "-", "_" and ".", and does not lead to loopback: that has to
 * stand in the template ("127.0.0.{label:1}", "{label:1}.localhost"), or in /etc/hosts.
 */
#ifndef DATAPLANE_TEMPLATE_H
#define DATAPLANE_TEMPLATE_H

#include <stddef.h>

#include "ctl/base/addr.h"

#define TEMPLATE_HOST_MAX 253 /* bytes, of a name */
#define TEMPLATE_PATH_MAX 107 /* of a unix socket */

struct template_values {
	const char *domain; /* NULL or "" = none was given */
	uint16_t port;
	struct addr client;
};

enum template_kind { TEMPLATE_ADDRESS, TEMPLATE_NAME, TEMPLATE_PATH };

struct template_target {
	enum template_kind kind;
	char text[TEMPLATE_HOST_MAX + 1]; /* a path without "unix:" */
	struct addr addr;		  /* TEMPLATE_ADDRESS */
};

/* What is wrong with a template, as a clause; NULL: nothing. {path} is none of a relay's. */
const char *template_fault(const char *text);
bool template_is_path(const char *text); /* begins with "unix:" */

/* -ENODATA: a value that it needs is not there. -EINVAL: the template, or what became of it, is no
 * address to connect to, no name and no path without "." and ".." in it. -ENAMETOOLONG. */
int template_expand(const char *text, const struct template_values *v, struct template_target *out);

#endif
