/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words: a constant array together with how many it has. */
#ifndef TESTS_PROPERTY_WORDS_H
#define TESTS_PROPERTY_WORDS_H

#define N(a) (sizeof(a) / sizeof(*(a)))

struct words {
	const char *const *v;
	unsigned n;
};
/* Also for other structs of that shape. */
#define WORDS(a)        \
	{               \
		a, N(a) \
	}

#endif
