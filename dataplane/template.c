/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values are copied, never read again for braces, so a value cannot name another.
 * The result is judged as a whole: "..", made of one label of a domain and a dot
 * of the template, is as bad as one that a client sent.
 */
#include "dataplane/template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/hosts.h"

#define UNIX_PREFIX "unix:"
#define LABEL_MAX   63

struct sink {
	char *out;
	size_t n, cap; /* cap: without the NUL */
};

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

static int put(struct sink *s, const char *v, size_t n)
{
	if (n > s->cap - s->n)
		return -ENAMETOOLONG;
	memcpy(s->out + s->n, v, n);
	s->n += n;
	s->out[s->n] = '\0';
	return 0;
}

/* ---- variables ---- */

static bool is_word(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

/* "label:N": N from 1 to 99; 0 = it is none. */
static unsigned label_number(const char *s, size_t n)
{
	unsigned v = 0;

	if (n < 7 || n > 8 || memcmp(s, "label:", 6))
		return 0;
	for (size_t i = 6; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	return v;
}

static int put_domain(struct sink *s, const char *v, size_t n)
{
	if (!n)
		return -ENODATA;
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(v[i]))
			return -EINVAL;
	return put(s, v, n);
}

static int put_label(struct sink *s, const char *domain, unsigned number)
{
	while (--number) {
		domain = strchr(domain, '.');
		if (!domain)
			return -ENODATA;
		domain++;
	}
	return put_domain(s, domain, strcspn(domain, "."));
}

static int put_variable(struct sink *s, const char *word, size_t n, const struct template_values *v)
{
	const char *domain = v->domain ? v->domain : "";
	char text[ADDR_TEXT];

	if (is_word(word, n, "domain"))
		return put_domain(s, domain, strlen(domain));
	if (label_number(word, n))
		return put_label(s, domain, label_number(word, n));
	if (is_word(word, n, "port")) {
		snprintf(text, sizeof(text), "%u", v->port);
		return v->port ? put(s, text, strlen(text)) : -ENODATA;
	}
	if (!is_word(word, n, "clientIp"))
		return -EINVAL;
	if (v->client.family == ADDR_NONE)
		return -ENODATA;
	addr_format(&v->client, text);
	return put(s, text, strlen(text));
}

static bool is_variable(const char *word, size_t n)
{
	return is_word(word, n, "domain") || is_word(word, n, "port") ||
	       is_word(word, n, "clientIp") || label_number(word, n);
}

/* ---- the template ---- */

bool template_is_path(const char *text)
{
	return !strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX));
}

const char *template_fault(const char *text)
{
	if (template_is_path(text) && text[strlen(UNIX_PREFIX)] != '/')
		return "the path of a unix socket must begin with \"/\"";
	for (const char *s = text, *end; (s = strchr(s, '{')); s = end) {
		end = strchr(s, '}');
		if (!end)
			return "a variable is not closed with \"}\"";
		if (!is_variable(s + 1, (size_t)(end - s) - 1))
			return "a variable is not known here";
	}
	return NULL;
}

static int fill(struct sink *s, const char *text, const struct template_values *v)
{
	int rc = 0;

	while (!rc && *text) {
		size_t n = strcspn(text, "{"), word;

		rc = put(s, text, n);
		text += n;
		if (rc || !*text)
			break;
		word = strcspn(text, "}");
		if (!text[word])
			return -EINVAL;
		rc = put_variable(s, text + 1, word - 1, v);
		text += word + 1;
	}
	return rc;
}

/* ---- what became of it ---- */

static bool is_path(const char *s)
{
	if (*s != '/')
		return false;
	while (*s) {
		size_t n = strcspn(++s, "/");

		if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += n;
	}
	return true;
}

/* As the route language has names: a last label of digits is a broken address. */
static bool is_name(const char *s)
{
	const char *last = s;

	for (;;) {
		size_t n = strcspn(s, ".");

		if (!n || n > LABEL_MAX)
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_name_char(s[i]))
				return false;
		last = s;
		s += n;
		if (!*s)
			break;
		s++;
	}
	return last[strspn(last, "0123456789")] != '\0';
}

/* Does the file say loopback, and not the client? */
static bool means_loopback(const char *text)
{
	const char *behind = strrchr(text, '}');
	bool is_said = strstr(text, "{domain}") || strstr(text, "{label:");

	return !is_said || !strncmp(text, "127.", 4) ||
	       hosts_is_localhost(behind ? behind + 1 : text);
}

static bool may_connect(const struct addr *a, bool loopback)
{
	return !addr_is_nowhere(a) && (loopback || !addr_is_loopback(a));
}

static int judge(struct template_target *t, bool loopback)
{
	if (t->kind == TEMPLATE_PATH)
		return is_path(t->text) ? 0 : -EINVAL;
	if (addr_parse(t->text, &t->addr)) {
		t->kind = TEMPLATE_ADDRESS;
		return may_connect(&t->addr, loopback) ? 0 : -EINVAL;
	}
	t->kind = TEMPLATE_NAME;
	return is_name(t->text) && (loopback || !hosts_is_localhost(t->text)) ? 0 : -EINVAL;
}

int template_expand(const char *text, const struct template_values *v, struct template_target *out)
{
	struct sink s = { .out = out->text, .cap = TEMPLATE_HOST_MAX };
	const bool loopback = means_loopback(text);
	int rc;

	memset(out, 0, sizeof(*out));
	if (template_is_path(text)) {
		out->kind = TEMPLATE_PATH;
		s.cap = TEMPLATE_PATH_MAX;
		text += strlen(UNIX_PREFIX);
	}
	rc = fill(&s, text, v);
	return rc ? rc : judge(out, loopback);
}
