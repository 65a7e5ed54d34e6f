/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/state/state_instance.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool instance_is_valid(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool root_parse(json_t *root, bool needs_instance, struct state_instance *out)
{
	const char *instance = "", *boot = "";
	json_int_t dev = 0, ino = 0, cookie = 0;

	if (json_unpack(root, "{s?s, s?I, s:I, s:I, s:s}", "instance", &instance, "netnsCookie",
			&cookie, "netnsDevice", &dev, "netnsInode", &ino, "boot", &boot) < 0 ||
	    (needs_instance && !instance_is_valid(instance)) ||
	    strlen(boot) >= sizeof(out->id.boot))
		return false;
	out->id.ns_cookie = (uint64_t)cookie;
	out->id.ns_dev = (dev_t)dev;
	out->id.ns_ino = (ino_t)ino;
	snprintf(out->id.boot, sizeof(out->id.boot), "%s", boot);
	snprintf(out->instance, sizeof(out->instance), "%s", needs_instance ? instance : "");
	return true;
}

int state_instance_parse(const char *path, const struct buf *json, bool needs_instance,
			 struct state_instance *out, struct err *e)
{
	json_t *root = json_loadb(json->data, json->len, JSON_REJECT_DUPLICATES, NULL);
	int rc = 0;

	if (!root_parse(root, needs_instance, out)) {
		rc = err_set(e, EBADMSG, "%s is damaged", path);
		err_hint(e, "if no spctl is in use here, remove that file");
	}
	json_decref(root);
	return rc;
}

void state_instance_format(const struct state_instance *i, struct buf *out)
{
	buf_puts(out, "{");
	if (i->instance[0])
		buf_printf(out, "\"instance\": \"%s\", ", i->instance);
	buf_printf(out,
		   "\"netnsCookie\": %ju, \"netnsDevice\": %ju, \"netnsInode\": %ju, \"boot\": "
		   "\"%s\"}\n",
		   (uintmax_t)i->id.ns_cookie, (uintmax_t)i->id.ns_dev, (uintmax_t)i->id.ns_ino,
		   i->id.boot);
}
