/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doc_scalar: what a piece of text means to JSON and to the YAML 1.2 core schema. For doc.c. */
#ifndef CTL_CONFIG_DOC_SCALAR_H
#define CTL_CONFIG_DOC_SCALAR_H

#include "ctl/config/doc.h"

struct doc_scalar {
	const char *text; /* not NUL-terminated */
	size_t len;
	bool plain; /* written without quotes */
	uint32_t line, col;
	/* set by doc_scalar_type() */
	enum doc_type type;
	bool boolean;
	int64_t integer;
	bool respelled; /* a number that would be shown otherwise than it is written */
};

void doc_scalar_type(struct doc_scalar *s, bool is_json);
/* Starts the way JSON does: '{' or '[' and then what only JSON would put there. */
bool doc_text_is_json(const char *text, size_t len);
/* The same but for comments as in JavaScript, which neither JSON nor YAML has. */
bool doc_text_is_json_with_comments(const char *text, size_t len);
bool doc_text_is_blank(const char *text, size_t len);
/* The first comment as in JavaScript that begins in from..to, or `to`. */
size_t doc_text_find_comment(const char *text, size_t from, size_t to);

#endif
