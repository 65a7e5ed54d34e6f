/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err: one failure with its place and cause, and lists of them.
 *
 * Fallible functions return 0 or a negative errno and take a struct err last.
 * The sentence is built where the failure happens; err_wrap() adds context on
 * the way up; commands print it once. Nothing here prints or exits.
 * Thread-safe as far as each object is used by one thread.
 */
#ifndef CTL_BASE_ERR_H
#define CTL_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* A place in a file: line and col count from 1; line 0 = no place.
 * file is borrowed and lives as long as the config it came from. */
struct loc {
	const char *file;
	unsigned line, col;
};

#define LOC_NONE ((struct loc){ NULL, 0, 0 })

struct err {
	int code;	/* negative errno, 0 = no error */
	struct loc loc; /* innermost place that was given */
	char path[160]; /* config path, e.g. routes[2].match.ports, or "" */
	char msg[480];	/* one sentence, no trailing dot or newline */
	char hint[240]; /* what to do instead, or "" */
};

/* Each returns its code (made negative), so `return err_set(e, ...)` works. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_at(struct err *e, int code, struct loc loc, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* As err_set, with ": strerror(code)" after the sentence. */
int err_sys(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " before the sentence; keeps the code and returns it. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sets the place where none is known yet; returns the code. */
int err_place(struct err *e, struct loc loc, const char *path);
void err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

struct diag {
	enum diag_severity severity;
	struct loc loc;
	char *path, *msg, *hint; /* owned; path and hint may be NULL */
};

/* At most this many errors are kept; further ones are only counted. */
#define DIAGS_MAX_ERRORS   20
#define DIAGS_MAX_WARNINGS 200

/* Starts zeroed ({0}), ends with diags_fini(). Warnings are kept besides errors. */
struct diags {
	struct diag *v;
	size_t n, cap;
	unsigned errors, warnings; /* all that were reported, kept or not */
	unsigned outside;	   /* of the errors: those for which the text is not to blame */
};

void diags_fini(struct diags *d);
/* True as soon as the error limit is reached: parsers stop then. */
bool diags_full(const struct diags *d);
void diags_add(struct diags *d, enum diag_severity s, struct loc loc, const char *path,
	       const char *hint, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* Adds what is in e as an error. */
void diags_add_err(struct diags *d, const struct err *e);

#endif
