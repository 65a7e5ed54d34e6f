/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/dns_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/addr.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"

#define SERVERS_MAX 16
#define SEARCH_MAX  16
#define FILE_MAX    (1u << 20)

struct dns_conf {
	json_t *servers, *search, *unused;
	unsigned ndots, timeout_s, tries;
};

static void option(struct dns_conf *c, const char *word)
{
	unsigned v;

	if (sscanf(word, "ndots:%u", &v) == 1)
		c->ndots = v < 15 ? v : 15;
	else if (sscanf(word, "timeout:%u", &v) == 1 && v)
		c->timeout_s = v < 30 ? v : 30;
	else if (sscanf(word, "attempts:%u", &v) == 1 && v)
		c->tries = v < 5 ? v : 5;
}

/* One that no question can be sent to (a name, an address with a zone) is left out, not in the way
 * of the others. */
static void server(struct dns_conf *c, const char *word)
{
	struct addr a;
	json_t *list = addr_parse(word, &a) ? c->servers : c->unused;

	if (json_array_size(list) < SERVERS_MAX)
		json_array_append_new(list, json_string(word));
}

/* The last of `search` and `domain` counts. */
static void line_parse(struct dns_conf *c, char *line)
{
	char *save = NULL, *key = strtok_r(line, " \t\r", &save), *word;

	if (!key || *key == '#' || *key == ';')
		return;
	if (!strcmp(key, "search") || !strcmp(key, "domain"))
		json_array_clear(c->search);
	while ((word = strtok_r(NULL, " \t\r", &save))) {
		if (!strcmp(key, "nameserver"))
			server(c, word);
		else if ((!strcmp(key, "search") || !strcmp(key, "domain")) &&
			 json_array_size(c->search) < SEARCH_MAX)
			json_array_append_new(c->search, json_string(word));
		else if (!strcmp(key, "options"))
			option(c, word);
	}
}

json_t *dns_conf_parse(const char *resolv, const char *hosts)
{
	struct dns_conf c = { json_array(), json_array(), json_array(), 1, 5, 2 };
	char *text = strdup(resolv), *save = NULL;
	json_t *out;

	for (char *l = text ? strtok_r(text, "\n", &save) : NULL; l;
	     l = strtok_r(NULL, "\n", &save))
		line_parse(&c, l);
	free(text);
	if (!json_array_size(c.servers))
		json_array_append_new(c.servers, json_string("127.0.0.1"));
	out = json_pack("{s:o,s:o,s:o,s:i,s:i,s:i}", "servers", c.servers, "search", c.search,
			"unused", c.unused, "ndots", (int)c.ndots, "timeout",
			(int)c.timeout_s * 1000, "tries", (int)c.tries);
	if (out && hosts)
		/* What is no UTF-8 is left out as a whole: json_string says NULL. */
		json_object_set_new(out, "hosts", json_string(hosts));
	return out;
}

json_t *dns_conf_read(void)
{
	struct buf resolv = { 0 }, hosts = { 0 };
	char text[200];
	json_t *out, *word;
	size_t i;

	io_read_file("/etc/resolv.conf", FILE_MAX, &resolv, NULL);
	io_read_file("/etc/hosts", FILE_MAX, &hosts, NULL);
	out = dns_conf_parse(resolv.data ? resolv.data : "", hosts.data);
	buf_fini(&resolv);
	buf_fini(&hosts);
	json_array_foreach (json_object_get(out, "unused"), i, word)
		log_warn("/etc/resolv.conf: name server \"%s\" cannot be asked: it is no address "
			 "without a zone",
			 log_escape(json_string_value(word), json_string_length(word), text,
				    sizeof(text)));
	return out;
}
