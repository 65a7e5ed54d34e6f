/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upcall_parse(): what a dataplane sends to root. First byte: how many
 * descriptors came with it; the rest is the text of one message.
 *
 * covers: ctl/service/upcall.c
 */
#include "ctl/service/upcall.h"
#include "dataplane/wire.h"
#include "tests/fuzz/fuzz.h"

static bool is_printable(const char *s, size_t cap)
{
	size_t n = strnlen(s, cap);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return n < cap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upcall u;
	json_t *json;
	char *text;

	if (!size)
		return 0;
	text = fuzz_copy(data + 1, size - 1);
	json = wire_parse(text, size - 1, NULL);
	free(text);
	if (!json || upcall_parse(json, data[0], &u, NULL)) {
		json_decref(json);
		return 0;
	}
	fuzz_check(u.type < N_UPCALLS && is_printable(u.text, sizeof(u.text)) &&
		   is_printable(u.name, sizeof(u.name)));
	fuzz_check(!strcmp(upcall_name(u.type), json_string_value(json_object_get(json, "type"))));
	fuzz_check(u.n_addresses <= UPCALL_ADDRESSES && u.n_rounds <= UPCALL_WORKERS &&
		   u.n_listeners == data[0]);
	for (unsigned i = 0; i < u.n_addresses; i++)
		fuzz_check(!addr_is_unspecified(&u.addresses[i]));
	for (unsigned i = 0; i < u.n_listeners; i++)
		fuzz_check(u.listeners[i].port && u.listeners[i].id);
	/* Behind every check: more listeners than one, and no part of them to come. */
	fuzz_planted(u.n_listeners == 2 && !u.more);
	json_decref(json);
	return 0;
}
