/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text: small helpers for names (nearest spelling, hashing) and places in a text. */
#ifndef CTL_BASE_TEXT_H
#define CTL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Damerau-Levenshtein distance, case-insensitive; stops at limit + 1. */
unsigned text_distance(const char *a, const char *b, unsigned limit);
/* The nearest of n candidates within a third of the length, or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);
uint64_t text_hash(const void *p, size_t n, uint64_t seed); /* FNV-1a 64 */
/* '*' in p stands for any run of characters, none included; case-insensitive. */
bool text_glob(const char *p, size_t p_len, const char *s, size_t s_len);
/* Valid UTF-8 without NUL (RFC 3629)? *bad gets the offset of the first bad byte. */
bool text_is_utf8(const char *s, size_t n, size_t *bad);

/* Of a noun that n stands before: "" for one, else "s". */
const char *text_plural(uint64_t n);
/* "0", "999", "1.2k", "35M", "1.0T": at most 5 characters, by thousands. Returns out. */
#define TEXT_SHORT 8
const char *text_short(uint64_t n, char out[TEXT_SHORT]);

/* A place in a text. Lines end with LF, CRLF or CR; columns count characters, not bytes. */
struct text_place {
	const char *text;   /* borrowed */
	size_t n, pos;	    /* bytes of the text, bytes before the place */
	uint32_t line, col; /* from 1 */
};

struct text_place text_place_start(const char *text, size_t n);
/* Moves p to byte `pos`, at most n. Costs the way there; backwards, also the line where it ends. */
void text_place_move(struct text_place *p, size_t pos);
/* The start of a line (from 1), *len without its end; NULL when the text has fewer. */
const char *text_line(const char *text, size_t n, uint32_t line, size_t *len);

#endif
