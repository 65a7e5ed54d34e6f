/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doc: JSON or YAML text as a tree in which every key and value has its place.
 *
 * Which of the two it is, is decided by content: text that starts with '{' or
 * '[' the way JSON does is JSON and nothing else. Where only comments as in
 * JavaScript stand before that, it is JSON (which refuses them) unless YAML can
 * make a map of it. Strings are unescaped, valid UTF-8 and without NUL. The tree lives in the arena
 * of its struct doc and is read-only; nothing in it points into the text. One thread.
 */
#ifndef CTL_CONFIG_DOC_H
#define CTL_CONFIG_DOC_H

#include "ctl/base/arena.h"
#include "ctl/base/err.h"

#include <stdint.h>

#define DOC_MAX_DEPTH	     64
#define DOC_MAX_ALIAS_NODES  100000
#define DOC_MAX_ANCHORS	     4096
#define DOC_MAX_STRING_BYTES 65536

enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_FLOAT, DOC_STRING, DOC_LIST, DOC_MAP };

struct doc_node {
	struct doc_node *next;	    /* in the same list or map */
	const char *key;	    /* equal keys are the same pointer; NULL in a list */
	uint32_t key_line, key_col; /* all places count from 1 */
	uint32_t line, col;
	uint32_t n; /* children, bytes of the string, or bytes of written[] */
	uint8_t type;
	union {
		struct doc_node *child;
		const char *string;
		int64_t integer;
		bool boolean;
	};
	/* Of a DOC_FLOAT, and of a DOC_INT that is not plain (0x10, 1e3, 80.0): as it stands in
	 * the file. It makes nodes of different sizes. */
	char written[];
};

struct doc {
	struct arena arena;
	struct doc_node *root;
	bool is_json;
};

/* 0, -EINVAL (diags say why) or -ENOMEM. d starts zeroed and ends with doc_fini() in all cases. */
int doc_parse(struct doc *d, const char *file, const char *text, size_t len, struct diags *diags);
void doc_fini(struct doc *d);
/* The value of a key of a map, or NULL. */
const struct doc_node *doc_find(const struct doc_node *map, const char *key);
/* `the string "x"`, `5`, `a list`; for error sentences. Returns out. */
const char *doc_describe(const struct doc_node *n, char *out, size_t cap);

#endif
