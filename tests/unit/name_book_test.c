/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in a register, and the books that are made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/name_book.h"

#define MANY 3000

static struct addr addr_of(unsigned i)
{
	return (struct addr){ ADDR_V4, { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

static void set(struct name_register *r, const char *name, unsigned i)
{
	const struct addr v[] = { addr_of(i), addr_of(i + 1) };

	assert_int_equal(name_register_set(r, name, v, 2), 0);
}

static void assert_leads(const struct name_entry *e, const char *name, unsigned i)
{
	const struct addr first = addr_of(i), second = addr_of(i + 1);

	assert_non_null(e);
	assert_string_equal(e->name, name);
	assert_int_equal(e->n, 2);
	assert_int_equal(addr_cmp(&e->v[0], &first), 0);
	assert_int_equal(addr_cmp(&e->v[1], &second), 0);
}

static void a_book_has_what_was_known_when_it_was_made(void **state)
{
	struct name_register *r = name_register_new();
	struct name_book *before, *after;

	(void)state;
	set(r, "b", 1);
	set(r, "a", 2);
	before = name_register_book(r);
	set(r, "a", 7);
	set(r, "c", 8);
	after = name_register_book(r);
	name_register_free(r);
	assert_int_equal(name_book_count(before), 2);
	assert_leads(name_book_find(before, "a"), "a", 2);
	assert_leads(name_book_find(before, "b"), "b", 1);
	assert_null(name_book_find(before, "c"));
	name_book_unref(before);
	assert_int_equal(name_book_count(after), 3);
	assert_leads(name_book_find(after, "a"), "a", 7);
	assert_leads(name_book_find(after, "b"), "b", 1);
	assert_leads(name_book_find(after, "c"), "c", 8);
	name_book_unref(after);
}

static void books_share_what_has_not_changed(void **state)
{
	struct name_register *r = name_register_new();
	struct name_book *a, *b;

	(void)state;
	set(r, "x", 1);
	set(r, "y", 2);
	a = name_register_book(r);
	set(r, "y", 3);
	b = name_register_book(r);
	assert_ptr_equal(name_book_find(a, "x"), name_book_find(b, "x"));
	assert_ptr_not_equal(name_book_find(a, "y"), name_book_find(b, "y"));
	name_book_unref(name_book_ref(a));
	assert_leads(name_book_find(a, "y"), "y", 2);
	name_book_unref(a);
	name_book_unref(b);
	name_register_free(r);
}

static void only_what_is_kept_stays(void **state)
{
	static const char *const keep[] = { "a", "c", "not known" };
	struct name_register *r = name_register_new();

	(void)state;
	set(r, "a", 1);
	set(r, "b", 2);
	set(r, "c", 3);
	name_register_keep(r, keep, 3);
	assert_int_equal(name_register_count(r), 2);
	assert_leads(name_register_find(r, "a"), "a", 1);
	assert_null(name_register_find(r, "b"));
	assert_leads(name_register_find(r, "c"), "c", 3);
	name_register_keep(r, keep, 0);
	assert_int_equal(name_register_count(r), 0);
	name_register_free(r);
}

static void every_one_of_many_is_found(void **state)
{
	struct name_register *r = name_register_new();
	struct name_book *b;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%u.test", i * 7919 % MANY);
		set(r, name, i);
	}
	b = name_register_book(r);
	assert_int_equal(name_book_count(b), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%u.test", i * 7919 % MANY);
		assert_leads(name_book_find(b, name), name, i);
	}
	assert_null(name_book_find(b, "h"));
	assert_null(name_book_find(NULL, "h1.test"));
	name_book_unref(b);
	name_register_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_book_has_what_was_known_when_it_was_made),
		cmocka_unit_test(books_share_what_has_not_changed),
		cmocka_unit_test(only_what_is_kept_stays),
		cmocka_unit_test(every_one_of_many_is_found),
	};

	return cmocka_run_group_tests_name("name_book", tests, NULL, NULL);
}
