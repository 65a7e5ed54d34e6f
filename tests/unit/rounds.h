/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rounds: how often a random test runs. Wrong answers are the plain build's to find; a sanitizer,
 * with which everything takes several times as long, looks for what a few of the rounds show as
 * well.
 */
#ifndef TESTS_UNIT_ROUNDS_H
#define TESTS_UNIT_ROUNDS_H

static inline unsigned rounds(unsigned n)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return n / 4;
#else
	return n;
#endif
}

#endif
