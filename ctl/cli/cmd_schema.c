/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/cli/cmd.h"
#include "ctl/config/schema.h"

/* The template's line @KEYS@ becomes the key reference. */
static int print_man(const struct options *o)
{
	struct buf template = { 0 }, keys = { 0 };
	struct err e = { 0 };

	if (io_read_file(o->man, 1 << 20, &template, &e))
		return cmd_fail(o, &e, EXIT_FAILED);
	schema_write_man(&keys);
	for (char *line = template.data, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strcmp(line, "@KEYS@"))
			fwrite(keys.data ? keys.data : "", 1, keys.len, stdout);
		else
			printf("%s\n", line);
		if (!next)
			break;
	}
	buf_fini(&template);
	buf_fini(&keys);
	return EXIT_DONE;
}

int cmd_schema(const struct options *o, int argc, char **argv)
{
	struct buf b = { 0 };

	(void)argc;
	(void)argv;
	if (o->man)
		return print_man(o);
	schema_write_json(&b);
	fwrite(b.data ? b.data : "", 1, b.len, stdout);
	buf_fini(&b);
	return EXIT_DONE;
}
