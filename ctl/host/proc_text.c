/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/proc_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/log.h"

#define ARGS_MAX 256

bool proc_text_socket(const char *link, uint32_t *inode)
{
	char end;

	return sscanf(link, "socket:[%u%c", inode, &end) == 2 && end == ']';
}

/* The name in parentheses may hold anything, so what follows the last one is read. */
int proc_text_parent(const char *stat)
{
	const char *at = strrchr(stat, ')');
	int parent;

	return at && sscanf(at + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool proc_text_uids(const char *line, unsigned long uids[4])
{
	return sscanf(line, "Uid: %lu %lu %lu %lu", &uids[0], &uids[1], &uids[2], &uids[3]) == 4;
}

uint32_t proc_text_uid_range(const char *line)
{
	uint32_t inside, outside, n;

	return sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &n) == 3 ? n : 0;
}

const char *proc_text_command(const char *args, size_t len, char *out, size_t cap)
{
	char copy[ARGS_MAX + 2], text[128];
	const char *name = copy, *word;

	len = len < ARGS_MAX ? len : ARGS_MAX;
	if (!len) {
		snprintf(out, cap, "?");
		return out;
	}
	memcpy(copy, args, len);
	copy[len] = copy[len + 1] = '\0';
	if (strrchr(copy, '/'))
		name = strrchr(copy, '/') + 1;
	word = copy + strlen(copy) + 1;
	if (*word && *word != '-' && strlen(word) < 24)
		snprintf(text, sizeof(text), "%.80s %s", name, word);
	else
		snprintf(text, sizeof(text), "%.80s", name);
	return log_escape(text, strlen(text), out, cap);
}
