/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan/plan_match.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctl/base/text.h"

bool domain_matches(const char *pattern, const char *name)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '.')
		n--;
	return n && text_glob(pattern, strlen(pattern), name, n);
}

/*
 * The pattern from p must match a prefix of s. Between two stars, where a block starts decides
 * where it ends, and a later start never ends earlier: so the first start that fits leaves the
 * most to the next block, and only the last star is ever tried again. A hostile pattern costs at
 * most the square of the lengths.
 */
static bool prefix_matches(const char *p, const char *s)
{
	const char *star = NULL, *mark = NULL;

	while (*p) {
		bool param = *p == ':' && p[-1] == '/';
		size_t segment = param ? strcspn(s, "/") : *s == *p;

		if (*p == '*') {
			star = ++p;
			mark = s;
		} else if (segment) {
			p += param ? strcspn(p, "/*") : 1;
			s += segment;
		} else if (star && *mark) {
			p = star;
			s = ++mark;
		} else {
			return false;
		}
	}
	return true;
}

bool path_matches(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);

	if (!len || pattern[0] != '/')
		return !strcmp(pattern, path);
	if (!strpbrk(pattern, "*:") && pattern[len - 1] != '/')
		return !strcmp(pattern, path);
	return path[0] == '/' && prefix_matches(pattern + 1, path + 1);
}

static bool regex_matches(const char *pattern, bool icase, const char *value)
{
	regex_t re;
	bool hit;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | (icase ? REG_ICASE : 0)))
		return false;
	hit = !regexec(&re, value, 0, NULL, 0);
	regfree(&re);
	return hit;
}

static const char *find_header(const struct match_facts *f, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < f->n_headers; i++)
		if (!strncasecmp(f->headers[i], name, len) && f->headers[i][len] == ':')
			return f->headers[i] + len + 1 + strspn(f->headers[i] + len + 1, " \t");
	return NULL;
}

static bool header_matches(const struct cfg_pair *p, const char *value)
{
	return p->is_regex ? regex_matches(p->value, p->is_icase, value)
			   : !strcasecmp(p->value, value);
}

static enum match_answer answer(enum match_answer a, char *why, size_t cap, const char *text)
{
	snprintf(why, cap, "%s", text);
	return a;
}

static enum match_answer match_name(const struct cfg_match *m, const struct match_facts *f)
{
	if (!m->domains.n)
		return MATCH_YES;
	if (!f->name)
		return MATCH_NEED_MORE;
	for (unsigned i = 0; i < m->domains.n; i++)
		if (domain_matches(m->domains.v[i], f->name))
			return MATCH_YES;
	return MATCH_NO;
}

static enum match_answer match_method(const struct cfg_match *m, const struct match_facts *f)
{
	if (!m->methods.n)
		return MATCH_YES;
	if (!f->method)
		return MATCH_NEED_MORE;
	for (unsigned i = 0; i < m->methods.n; i++)
		if (!strcasecmp(m->methods.v[i], f->method))
			return MATCH_YES;
	return MATCH_NO;
}

static enum match_answer match_headers(const struct cfg_match *m, const struct match_facts *f)
{
	for (unsigned i = 0; i < m->headers.n; i++) {
		const char *value = find_header(f, m->headers.v[i].name);

		if (!value)
			return f->n_headers ? MATCH_NO : MATCH_NEED_MORE;
		if (!header_matches(&m->headers.v[i], value))
			return MATCH_NO;
	}
	return MATCH_YES;
}

enum match_answer route_matches(const struct cfg_match *m, const struct match_facts *f, char *why,
				size_t cap)
{
	enum match_answer name = match_name(m, f), method = match_method(m, f),
			  headers = match_headers(m, f);

	if (m->has_client_ip && f->client.family != ADDR_NONE &&
	    !addr_set_has(&m->client_ip, &f->client))
		return answer(MATCH_NO, why, cap, "the client is not in clientIp");
	if (name == MATCH_NO)
		return answer(MATCH_NO, why, cap, "the name is none of its domains");
	if (m->path && f->path && !path_matches(m->path, f->path))
		return answer(MATCH_NO, why, cap, "the path is another");
	if (method == MATCH_NO)
		return answer(MATCH_NO, why, cap, "the method is another");
	if (headers == MATCH_NO)
		return answer(MATCH_NO, why, cap, "a header is missing or another");
	if (m->has_client_ip && f->client.family == ADDR_NONE)
		return answer(MATCH_NEED_MORE, why, cap, "depends on the client (--client)");
	if (name == MATCH_NEED_MORE)
		return answer(MATCH_NEED_MORE, why, cap, "depends on the name (--sni or --host)");
	if (m->path && !f->path)
		return answer(MATCH_NEED_MORE, why, cap, "depends on the path (--path)");
	if (method == MATCH_NEED_MORE)
		return answer(MATCH_NEED_MORE, why, cap, "depends on the method (--method)");
	if (headers == MATCH_NEED_MORE)
		return answer(MATCH_NEED_MORE, why, cap, "depends on headers (--header)");
	if (m->query.n || m->tls_versions.n || (m->protocol && strcmp(m->protocol, "tcp")))
		return answer(MATCH_NEED_MORE, why, cap,
			      "depends on the query, TLS version or protocol");
	return answer(MATCH_YES, why, cap, "matches");
}
