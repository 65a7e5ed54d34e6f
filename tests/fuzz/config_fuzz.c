/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_parse() on any bytes, JSON or YAML, strict and lenient.
 *
 * covers: ctl/config/doc.c ctl/config/doc_scalar.c ctl/config/config.c ctl/config/config_action.c
 * covers: ctl/config/config_handler.c ctl/config/config_match.c ctl/config/config_names.c
 * covers: ctl/config/config_object.c ctl/config/config_report.c ctl/config/config_route.c
 * covers: ctl/config/config_security.c ctl/config/config_target.c ctl/config/config_tls.c
 * covers: ctl/config/config_top.c ctl/config/config_value.c
 */
#include "ctl/config/config.h"
#include "tests/fuzz/fuzz.h"

const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses 4 KiB in fy_token_get_text() of a quoted string with many escapes. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml";
}

/* A first route over more than 100 ports. */
static bool is_planted(const struct config *c)
{
	return c && c->n_routes &&
	       c->routes[0].match.ports[0].to > c->routes[0].match.ports[0].from + 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int lenient = 0; lenient < 2; lenient++) {
		const struct config_options opt = { .lenient = lenient };
		struct diags d = { 0 };
		struct config *c = config_parse("fuzz", (const char *)data, size, &opt, &d);

		/* An error and a config, or neither, would be a bug. */
		fuzz_check((c == NULL) == (d.errors > 0));
		fuzz_planted(is_planted(c));
		config_free(c);
		diags_fini(&d);
	}
	return 0;
}
