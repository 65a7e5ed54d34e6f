/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int err_fill(struct err *e, int code, struct loc loc, const char *fmt, va_list ap)
{
	code = code > 0 ? -code : code;
	if (!e)
		return code;
	memset(e, 0, sizeof(*e));
	e->code = code;
	e->loc = loc;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = err_fill(e, code, LOC_NONE, fmt, ap);
	va_end(ap);
	return code;
}

int err_at(struct err *e, int code, struct loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = err_fill(e, code, loc, fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	code = err_fill(e, code, LOC_NONE, fmt, ap);
	va_end(ap);
	if (!e)
		return code;
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(-code));
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char context[sizeof(e->msg)], old[sizeof(e->msg)];
	va_list ap;

	if (!e)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(old, e->msg, sizeof(old));
	/* The context is ours and short; what is cut, if anything, is the tail. */
	if (snprintf(e->msg, sizeof(e->msg), "%s: %s", context, old) >= (int)sizeof(e->msg))
		e->msg[sizeof(e->msg) - 1] = '\0';
	return e->code;
}

int err_place(struct err *e, struct loc loc, const char *path)
{
	if (!e)
		return -EINVAL;
	if (!e->loc.line)
		e->loc = loc;
	if (path && !e->path[0])
		snprintf(e->path, sizeof(e->path), "%s", path);
	return e->code;
}

void err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
}

void diags_fini(struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].path);
		free(d->v[i].msg);
		free(d->v[i].hint);
	}
	free(d->v);
	memset(d, 0, sizeof(*d));
}

bool diags_full(const struct diags *d)
{
	return d->errors >= DIAGS_MAX_ERRORS;
}

/* Counts the report; false when it is only counted. Notes count as nothing. */
static bool diags_take(struct diags *d, enum diag_severity s)
{
	unsigned *counter = s == DIAG_ERROR ? &d->errors : s == DIAG_WARNING ? &d->warnings : NULL;
	unsigned before = counter ? (*counter)++ : (unsigned)d->n;

	if (before >= (s == DIAG_ERROR ? DIAGS_MAX_ERRORS : DIAGS_MAX_WARNINGS))
		return false;
	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 16;
		struct diag *v = realloc(d->v, cap * sizeof(*v));

		if (!v)
			return false;
		d->v = v;
		d->cap = cap;
	}
	return true;
}

void diags_add(struct diags *d, enum diag_severity s, struct loc loc, const char *path,
	       const char *hint, const char *fmt, ...)
{
	struct diag *g;
	char *msg = NULL;
	va_list ap;
	int n;

	if (!d || !diags_take(d, s))
		return;
	va_start(ap, fmt);
	n = vasprintf(&msg, fmt, ap);
	va_end(ap);
	g = &d->v[d->n++];
	*g = (struct diag){ .severity = s, .loc = loc };
	g->msg = n < 0 ? NULL : msg;
	if (!g->msg)
		g->msg = strdup("out of memory");
	g->path = path && *path ? strdup(path) : NULL;
	g->hint = hint && *hint ? strdup(hint) : NULL;
}

void diags_add_err(struct diags *d, const struct err *e)
{
	diags_add(d, DIAG_ERROR, e->loc, e->path, e->hint, "%s", e->msg);
}
