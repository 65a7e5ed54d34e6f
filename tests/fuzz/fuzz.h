/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz: what the libFuzzer targets share. Each names the files that it is there for in lines
 * "covers: FILE..." of its first comment: scripts/fuzz says how much of those it ran.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aligned, and its end is the end: one byte further is not ours. free() it. */
static inline void *fuzz_copy(const uint8_t *data, size_t size)
{
	void *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	return copy;
}

/* The same as text, with a NUL. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

/* Not inlined: the report has the line of each check. */
static __attribute__((noinline, unused)) void fuzz_check(bool holds)
{
	if (!holds)
		abort();
}

/*
 * The planted bug: with -DFUZZ_SELFTEST the fuzzer has to find an input of which `reached` is true,
 * and the sanitizer has to see the read behind the end of a block. It must lie deeper than what a
 * seed reaches.
 */
static __attribute__((noinline, unused)) void fuzz_planted(bool reached)
{
#ifdef FUZZ_SELFTEST
	volatile char *block = reached ? malloc(8) : NULL;

	if (block)
		(void)block[8];
	free((void *)block);
#else
	(void)reached;
#endif
}

#endif
