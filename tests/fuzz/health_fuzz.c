// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * health_answer_feed(): what a target answers to a check. First byte: where the rest is cut in two.
 * However it is cut, the answer is the same.
 *
 * covers: dataplane/health_answer.c
 */
#include <errno.h>

#include "dataplane/health_answer.h"
#include "tests/fuzz/fuzz.h"

/* Each byte on its own. */
static int feed_slowly(const char *p, size_t n)
{
	struct health_answer a = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = health_answer_feed(&a, p + i, 1);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct health_answer a = { 0 };
	size_t cut;
	char *p;
	int rc;

	if (size < 1)
		return 0;
	cut = data[0] < size - 1 ? data[0] : size - 1;
	p = fuzz_copy(data + 1, size - 1);
	rc = health_answer_feed(&a, p, cut);
	if (!rc)
		rc = health_answer_feed(&a, p + cut, size - 1 - cut);
	fuzz_check(rc == feed_slowly(p, size - 1));
	fuzz_check(rc == 0 || rc == -EBADMSG || rc == -EMSGSIZE || (rc >= 200 && rc < 600));
	fuzz_planted(rc >= 500 && a.total > 40);
	free(p);
	return 0;
}
