/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a dataplane writes to its standard error, as it comes out of the pipe: in pieces, with any
 * bytes, ended by nothing. What is kept of it is one printable line. (None is logged here: the
 * bucket holds none.)
 *
 * covers: ctl/service/dataplane_words.c ctl/service/bucket.h
 */
#include <ctype.h>
#include <unistd.h>

#include "ctl/service/dataplane_words.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct words *w)
{
	const size_t n = strlen(w->last_error);

	fuzz_check(n < sizeof(w->last_error) && w->len < sizeof(w->line));
	for (size_t i = 0; i < n; i++)
		fuzz_check(isprint((unsigned char)w->last_error[i]));
	fuzz_planted(!strncmp(w->last_error, "spctl: error: ", 14));
}

/* The first byte: how much is written at once. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t piece = size ? data[0] + 1u : 1;
	struct loop *loop = loop_new(NULL);
	struct words w;
	int fd;

	words_init(&w, loop);
	w.bucket.burst = 0;
	fd = words_open(&w);
	for (size_t at = 1, n; fd >= 0 && at < size && w.watch.fd >= 0; at += n) {
		n = size - at < piece ? size - at : piece;
		if (write(fd, data + at, n) != (ssize_t)n)
			break;
		w.watch.ready(&w.watch, EPOLLIN);
		check(&w);
	}
	if (fd >= 0)
		close(fd);
	words_close(&w);
	check(&w);
	words_fini(&w);
	loop_free(loop);
	return 0;
}
