/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What processes say of themselves: name, arguments, environment (SSH_CONNECTION), and the lines of
 * /proc around it. The same bytes are given to each.
 *
 * covers: ctl/host/proc_text.c ctl/host/session_conn_parse.c
 */
#include <ctype.h>
#include <stdio.h>

#include "ctl/host/proc_text.h"
#include "ctl/host/session_conn.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_session(const char *text)
{
	struct session_conn c, again;
	char client[ADDR_TEXT], server[ADDR_TEXT], line[2 * ADDR_TEXT + 16];

	if (!session_conn_parse(text, &c))
		return;
	fuzz_check(c.client.family == c.server.family && c.client_port && c.server_port);
	snprintf(line, sizeof(line), "%s %u %s %u", addr_format(&c.client, client), c.client_port,
		 addr_format(&c.server, server), c.server_port);
	fuzz_check(session_conn_parse(line, &again));
	fuzz_check(!addr_cmp(&c.client, &again.client) && !addr_cmp(&c.server, &again.server) &&
		   c.client_port == again.client_port && c.server_port == again.server_port);
	/* A session over IPv6 from a privileged port. */
	fuzz_planted(c.client.family == ADDR_V6 && c.client_port < 1024);
}

static void fuzz_environment(const char *block, size_t size)
{
	const char *value = session_conn_lookup(block, size, "SSH_CONNECTION");

	if (!value)
		return;
	fuzz_check(value > block && memchr(value, '\0', (size_t)(block + size - value)));
	fuzz_session(value);
}

static void fuzz_command(const char *args, size_t size)
{
	char out[120];

	fuzz_check(proc_text_command(args, size, out, sizeof(out)) == out);
	fuzz_check(memchr(out, '\0', sizeof(out)));
	for (const char *c = out; *c; c++)
		fuzz_check(!iscntrl((unsigned char)*c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *block = fuzz_copy(data, size), *text = fuzz_text(data, size);
	unsigned long uids[4];
	uint32_t inode;

	fuzz_environment(block, size);
	fuzz_command(block, size);
	fuzz_session(text);
	proc_text_socket(text, &inode);
	proc_text_parent(text);
	proc_text_uids(text, uids);
	proc_text_uid_range(text);
	free(block);
	free(text);
	return 0;
}
