// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Line by line, keeping only how a line begins: a status line is judged by its
 * first 12 bytes and what follows them, a field line only by whether it is empty
 * (the end of an interim answer, after which the next status line comes).
 */
#include "dataplane/health_answer.h"

#include <errno.h>
#include <string.h>

#define STATUS_LEN 12 /* "HTTP/1.1 200" */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Of a whole line without its LF. */
static int status_parse(const char *p, size_t n)
{
	if (n < STATUS_LEN || memcmp(p, "HTTP/1.", 7) || !is_digit(p[7]) || p[8] != ' ' ||
	    p[9] < '1' || p[9] > '5' || !is_digit(p[10]) || !is_digit(p[11]))
		return -EBADMSG;
	if (n > STATUS_LEN && p[STATUS_LEN] != ' ' && p[STATUS_LEN] != '\r')
		return -EBADMSG;
	return (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
}

/* What cannot become a status line is refused before its end: it may never end. */
static bool may_be_status(const struct health_answer *a)
{
	static const char start[] = "HTTP/1.";
	size_t n = a->line_len < sizeof(start) - 1 ? a->line_len : sizeof(start) - 1;

	return !memcmp(a->line, start, n);
}

static int line_end(struct health_answer *a)
{
	size_t n = a->line_len;
	int status;

	a->line_len = 0;
	if (a->in_fields) {
		a->in_fields = n > 0 && !(n == 1 && a->line[0] == '\r');
		return 0;
	}
	status = status_parse(a->line, n);
	a->in_fields = status >= 100 && status < 200;
	return a->in_fields ? 0 : status;
}

int health_answer_feed(struct health_answer *a, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = 0;

		if (++a->total > HEALTH_ANSWER_MAX)
			return -EMSGSIZE;
		if (p[i] == '\n')
			rc = line_end(a);
		else if (a->line_len < sizeof(a->line))
			a->line[a->line_len++] = p[i];
		if (rc)
			return rc;
		if (!a->in_fields && !may_be_status(a))
			return -EBADMSG;
	}
	return 0;
}
