/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text: small helpers for names: nearest spelling, hashing. */
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
/* Valid UTF-8 without NUL (RFC 3629)? *bad gets the offset of the first bad byte. */
bool text_is_utf8(const char *s, size_t n, size_t *bad);

#endif
