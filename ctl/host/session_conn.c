/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/session_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/io.h"

#define NAME	      "SSH_CONNECTION"
#define MAX_PARENTS   64
#define ENVIRON_BYTES (1u << 20) /* of one process; more than the kernel's usual limit is odd */

static bool parse_address(const char *word, struct addr *out)
{
	char text[ADDR_TEXT];
	size_t n = strcspn(word, "%");

	if (n >= sizeof(text))
		return false;
	memcpy(text, word, n);
	text[n] = '\0';
	return addr_parse(text, out);
}

static bool parse_port(const char *word, uint16_t *out)
{
	unsigned long v;
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	v = strtoul(word, &end, 10);
	*out = (uint16_t)v;
	return !errno && !*end && v && v <= 65535;
}

bool session_conn_parse(const char *text, struct session_conn *out)
{
	struct session_conn c = { 0 };
	char copy[256], *words[4], *save = NULL;
	size_t n = strlen(text);

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n + 1);
	for (unsigned i = 0; i < 4; i++) {
		words[i] = strtok_r(i ? NULL : copy, " ", &save);
		if (!words[i])
			return false;
	}
	if (strtok_r(NULL, " ", &save) || !parse_address(words[0], &c.client) ||
	    !parse_port(words[1], &c.client_port) || !parse_address(words[2], &c.server) ||
	    !parse_port(words[3], &c.server_port) || c.client.family != c.server.family)
		return false;
	*out = c;
	return true;
}

const char *session_conn_lookup(const char *block, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (size_t at = 0; at < len;) {
		const char *s = block + at, *end = memchr(s, '\0', len - at);

		if (!end)
			return NULL;
		if ((size_t)(end - s) > n && s[n] == '=' && !memcmp(s, name, n))
			return s + n + 1;
		at += (size_t)(end - s) + 1;
	}
	return NULL;
}

/* A process may be gone, or another user's: then it says nothing. */
static bool find_in(int pid, struct session_conn *out)
{
	char path[64], *block;
	const char *value = NULL;
	ssize_t n = -1;
	bool found;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	block = fd >= 0 ? malloc(ENVIRON_BYTES) : NULL;
	if (block)
		n = io_read_all(fd, block, ENVIRON_BYTES);
	if (n > 0)
		value = session_conn_lookup(block, (size_t)n, NAME);
	found = value && session_conn_parse(value, out);
	free(block);
	if (fd >= 0)
		close(fd);
	return found;
}

/* The name in parentheses may hold anything, so what follows the last one is read. */
static int parent_of(int pid)
{
	char path[64], text[1024], *at;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (io_read_text(path, text, sizeof(text), NULL))
		return 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

bool session_conn_find(struct session_conn *out)
{
	const char *own = getenv(NAME);
	int pid = getppid();

	if (own && session_conn_parse(own, out))
		return true;
	for (unsigned i = 0; pid > 1 && i < MAX_PARENTS; i++, pid = parent_of(pid))
		if (find_in(pid, out))
			return true;
	return false;
}
