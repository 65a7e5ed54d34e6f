// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both outputs walk key_objects[] in its order. The schema is a little more
 * generous than the parser (it does not know which keys exclude each other) and
 * never stricter: what spctl reads, an editor does not underline.
 */
#include "ctl/config/schema.h"

#include "ctl/config/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* --- JSON Schema ------------------------------------------------------------- */

static const char shared_defs[] =
	"\"port\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535},"
	"\"portItem\":{\"oneOf\":[{\"$ref\":\"#/$defs/port\"},"
	"{\"type\":\"string\",\"pattern\":\"^[0-9]+-[0-9]+$\"},"
	"{\"type\":\"object\",\"required\":[\"from\",\"to\"],\"additionalProperties\":false,"
	"\"properties\":{\"from\":{\"$ref\":\"#/$defs/port\"},\"to\":{\"$ref\":\"#/$defs/"
	"port\"}}}]},"
	"\"ports\":{\"oneOf\":[{\"$ref\":\"#/$defs/portItem\"},"
	"{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/portItem\"}}]},"
	"\"texts\":{\"oneOf\":[{\"type\":\"string\"},"
	"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}";

static void put_string(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			buf_printf(b, "\\u%04x", *s);
		else
			buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

static void put_values(struct buf *b, const struct key *k)
{
	buf_puts(b, "\"enum\":[");
	for (size_t i = 0; k->values[i]; i++) {
		if (i)
			buf_putc(b, ',');
		put_string(b, k->values[i]);
	}
	buf_putc(b, ']');
}

static void put_default(struct buf *b, const struct key *k)
{
	if (!k->def)
		return;
	if (k->type == KEY_BOOL || k->type == KEY_UINT || k->type == KEY_INT) {
		buf_printf(b, ",\"default\":%s", k->def);
	} else if (k->type == KEY_TEXT || k->type == KEY_ENUM || k->type == KEY_CHOICE) {
		buf_puts(b, ",\"default\":");
		put_string(b, k->def);
	}
}

static void put_texts(struct buf *b, const struct key *k)
{
	if (!k->values) {
		buf_puts(b, "\"$ref\":\"#/$defs/texts\"");
		return;
	}
	buf_puts(b, "\"oneOf\":[{");
	put_values(b, k);
	buf_puts(b, "},{\"type\":\"array\",\"items\":{");
	put_values(b, k);
	buf_puts(b, "}}]");
}

/* The members of the schema of one value, without its braces. */
static void put_type(struct buf *b, const struct key_object *o, const struct key *k)
{
	const struct key *now = k->now ? key_find(o, k->now) : NULL;

	switch (k->type) {
	case KEY_BOOL:
		buf_puts(b, "\"type\":\"boolean\"");
		break;
	case KEY_UINT:
	case KEY_INT:
		buf_printf(b, "\"type\":\"integer\",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64,
			   k->min, k->max);
		break;
	case KEY_TEXT:
		buf_printf(b, "\"type\":\"string\"%s",
			   k->flags & KEY_EMPTY_OK ? "" : ",\"minLength\":1");
		break;
	case KEY_ENUM:
	case KEY_CHOICE:
		put_values(b, k);
		break;
	case KEY_TEXTS:
	case KEY_ADDRESSES:
		put_texts(b, k);
		break;
	case KEY_PAIRS:
		buf_puts(b, "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}");
		break;
	case KEY_OBJECT:
		buf_printf(b, "\"$ref\":\"#/$defs/%s\"", k->object->name);
		break;
	case KEY_CUSTOM:
		buf_printf(b, "\"allOf\":[%s]", k->schema);
		break;
	case KEY_OLD:
		buf_puts(b, "\"deprecated\":true");
		if (now) {
			buf_puts(b, ",");
			put_type(b, o, now);
		}
		break;
	case KEY_REFUSED:
		buf_puts(b, "\"not\":{}");
		break;
	case KEY_UNUSED:
		buf_puts(b, "\"deprecated\":true");
		break;
	}
}

static void put_required(struct buf *b, const struct key_object *o)
{
	const char *comma = "";

	buf_puts(b, "\"required\":[");
	for (size_t i = 0; i < o->n_keys; i++) {
		if (!(o->keys[i].flags & KEY_REQUIRED))
			continue;
		buf_puts(b, comma);
		put_string(b, o->keys[i].name);
		comma = ",";
	}
	buf_puts(b, "]");
}

/* The members of the schema of one object, without its braces. */
static void put_object(struct buf *b, const struct key_object *o)
{
	buf_puts(b, "\"type\":\"object\",\"description\":");
	put_string(b, o->title);
	buf_printf(b, ",\"additionalProperties\":%s,", o->open ? "true" : "false");
	put_required(b, o);
	buf_puts(b, ",\"properties\":{");
	for (size_t i = 0; i < o->n_keys; i++) {
		const struct key *k = &o->keys[i];

		if (i)
			buf_putc(b, ',');
		buf_putc(b, '\n');
		put_string(b, k->name);
		buf_puts(b, ":{");
		put_type(b, o, k);
		put_default(b, k);
		buf_puts(b, ",\"description\":");
		put_string(b, k->help);
		buf_putc(b, '}');
	}
	buf_puts(b, "}");
}

int schema_write_json(struct buf *out)
{
	buf_puts(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
		      "\"title\":\"spctl routes\",");
	put_object(out, key_objects[0]);
	buf_puts(out, ",\n\"$defs\":{");
	buf_puts(out, shared_defs);
	for (size_t i = 1; key_objects[i]; i++) {
		buf_puts(out, ",\n");
		put_string(out, key_objects[i]->name);
		buf_puts(out, ":{");
		put_object(out, key_objects[i]);
		buf_puts(out, "}");
	}
	buf_puts(out, "}}\n");
	return out->failed ? -ENOMEM : 0;
}

/* --- the manual -------------------------------------------------------------- */

/* Text of a roff line: no escape, no request and no typographic quote slips in. */
static void put_roff(struct buf *b, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_puts(b, "\\&");
	for (; *s; s++) {
		if (*s == '\\')
			buf_puts(b, "\\e");
		else if (*s == '-')
			buf_puts(b, "\\-");
		else if (*s == '"')
			buf_puts(b, "\\(dq");
		else
			buf_putc(b, *s);
	}
}

static void put_man_heading(struct buf *b, const char *name)
{
	buf_puts(b, ".SS ");
	put_roff(b, name);
	buf_putc(b, '\n');
}

static void put_man_key(struct buf *b, const struct key *k)
{
	char type[256];

	buf_puts(b, ".TP\n\\fB");
	put_roff(b, k->name);
	buf_puts(b, "\\fR");
	if (k->type >= KEY_OLD) {
		buf_puts(b, k->type == KEY_REFUSED ? " (refused)" : " (older)");
	} else {
		buf_puts(b, " (");
		put_roff(b, key_type_text(k, type, sizeof(type)));
		if (k->flags & KEY_REQUIRED)
			buf_puts(b, "; required");
		if (k->def) {
			buf_puts(b, "; default ");
			put_roff(b, k->def);
		}
		if (k->tier != KEY_TIER_ANY)
			buf_printf(b, "; %s", key_tier_text(k));
		if (k->flags & KEY_NEW)
			buf_puts(b, "; +");
		buf_putc(b, ')');
	}
	buf_putc(b, '\n');
	put_roff(b, k->help);
	if (k->now) {
		buf_puts(b, k->type == KEY_OLD ? " Now: " : " Instead: ");
		put_roff(b, k->now);
		buf_putc(b, '.');
	}
	buf_putc(b, '\n');
}

static void put_man_unused(struct buf *b, const struct key_object *o)
{
	bool any = false;

	for (size_t i = 0; i < o->n_keys; i++) {
		if (o->keys[i].type != KEY_UNUSED)
			continue;
		buf_puts(b, any ? ", " : ".PP\nAccepted without a meaning, with one warning: ");
		put_roff(b, o->keys[i].name);
		any = true;
	}
	if (any)
		buf_puts(b, ".\n");
}

void schema_write_man(struct buf *out)
{
	for (size_t i = 0; key_objects[i]; i++) {
		const struct key_object *o = key_objects[i];

		put_man_heading(out, o->name);
		put_roff(out, o->title);
		buf_putc(out, '\n');
		for (size_t j = 0; j < o->n_keys; j++)
			if (o->keys[j].type != KEY_UNUSED)
				put_man_key(out, &o->keys[j]);
		put_man_unused(out, o);
	}
}
