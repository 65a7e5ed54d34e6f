// SPDX-License-Identifier: GPL-2.0-or-later
/* config_parse() on any bytes, strict and lenient. -DFUZZ_SELFTEST plants a bug that must be found.
 */
#include "ctl/config/config.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses 4 KiB in fy_token_get_text() of a quoted string with many escapes. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml";
}

#ifdef FUZZ_SELFTEST
/* A first route over a range of ports reads behind a table. */
static void selftest(const struct config *c)
{
	static const volatile char table[1000];

	if (c && c->n_routes && c->routes[0].match.ports[0].from < c->routes[0].match.ports[0].to)
		(void)table[1000 + c->routes[0].match.ports[0].from % 8];
}
#else
static void selftest(const struct config *c)
{
	(void)c;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (int lenient = 0; lenient < 2; lenient++) {
		const struct config_options opt = { .lenient = lenient };
		struct diags d = { 0 };
		struct config *c = config_parse("fuzz", (const char *)data, len, &opt, &d);

		/* An error and a config, or neither, would be a bug. */
		if ((c == NULL) != (d.errors > 0))
			__builtin_trap();
		selftest(c);
		config_free(c);
		diags_fini(&d);
	}
	return 0;
}
