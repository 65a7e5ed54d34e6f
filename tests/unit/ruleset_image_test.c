/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset_image.h"

#define BOOT "6f1c1b0e-0c5e-4d0b-9a3e-1b2c3d4e5f60"

static struct ruleset *sample(void)
{
	static const struct rs_set_def id = {
		"id4", NFT_SET_MAP, RS_TYPE_PORT, 2, RS_TYPE_IP6, 16, 0, 0
	};
	static const struct rs_set_def svc = {
		"svc", NFT_SET_MAP | NFT_SET_INTERVAL, RS_TYPE_IP, 4, NFT_DATA_VERDICT, 0, 0, 0
	};
	static const struct rs_set_def dyn = { "dyn", NFT_SET_EVAL, RS_TYPE_IP, 4, 0, 0, 512, 0 };
	static const struct rs_hook hook = { "nat", NF_INET_PRE_ROUTING, -100 };
	struct ruleset *rs = ruleset_new("spctl", "host 1", 12);
	struct rs_chain *c = ruleset_chain(rs, "pre", &hook, 1);
	struct rs_set *s = ruleset_set(rs, &id, 0);
	struct nx x = nx_new();

	nx_counter(&x);
	rs_chain_add(c, rs, nx_done(&x), "a rule", 2);
	ruleset_chain(rs, "empty", NULL, 1);
	for (uint16_t i = 0; i < 20; i++)
		rs_set_add(s, rs, &i, 0, "0123456789abcdef", i);
	s = ruleset_set(rs, &svc, 0);
	rs_set_add_goto(s, rs, "\x0a\0\0\1", "empty", 4);
	rs_set_add(s, rs, "\x0a\0\0\2", RS_ELEM_INTERVAL_END, NULL, 4);
	ruleset_set(rs, &dyn, 0);
	assert_int_equal(ruleset_seal(rs, NULL), 0);
	return rs;
}

static struct route_ids sample_ids(void)
{
	struct route_ids ids = { .next_id = 4 };

	assert_int_equal(route_ids_add(&ids, "web", 1), 0);
	assert_int_equal(route_ids_add(&ids, "db", 3), 0);
	assert_int_equal(route_ids_add(&ids, "", 2), 0);
	route_ids_seal(&ids);
	return ids;
}

static struct buf image(void)
{
	struct ruleset *rs = sample();
	struct route_ids ids = sample_ids();
	struct buf out = { 0 };

	assert_int_equal(ruleset_image_build(rs, &ids, BOOT, 77, &out), 0);
	ruleset_free(rs);
	route_ids_fini(&ids);
	return out;
}

/* Parses a copy that ends exactly where the memory does, so that ASan sees any step beyond. */
static int parse(const void *bytes, size_t len, const char *boot)
{
	struct ruleset *rs = NULL;
	struct route_ids ids = { 0 };
	void *copy = malloc(len ? len : 1);
	uint32_t genid = 0;
	int rc;

	memcpy(copy, bytes, len);
	rc = ruleset_image_parse(copy, len, boot, &rs, &ids, &genid);
	assert_int_equal(!rc, rs != NULL);
	ruleset_free(rs);
	route_ids_fini(&ids);
	free(copy);
	return rc;
}

static void fix_checksum(struct buf *b)
{
	const size_t from = RULESET_IMAGE_SUM_OFFSET + sizeof(uint64_t);
	uint64_t sum = ruleset_image_checksum(b->data + from, b->len - from);

	memcpy(b->data + RULESET_IMAGE_SUM_OFFSET, &sum, sizeof(sum));
}

static void what_is_saved_is_loaded(void **state)
{
	char path[] = "/tmp/spctl-image-XXXXXX";
	int fd = mkstemp(path);
	struct ruleset *rs = sample(), *got = NULL;
	struct route_ids ids = sample_ids(), read = { 0 };
	uint32_t genid = 0;
	char what[128] = "";
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(ruleset_image_save(path, rs, &ids, BOOT, 77, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ruleset_image_load(path, BOOT, &got, &read, &genid), 0);
	assert_int_equal(genid, 77);
	if (!ruleset_equal(rs, got, what, sizeof(what)))
		fail_msg("%s", what);
	assert_string_equal(got->owner, "host 1");
	assert_int_equal(read.n, 3);
	assert_int_equal(read.next_id, 4);
	assert_int_equal(route_ids_find(&read, "web"), 1);
	assert_int_equal(route_ids_find(&read, ""), 2);
	assert_int_equal(route_ids_find(&read, "none"), 0);
	unlink(path);
	ruleset_free(rs);
	ruleset_free(got);
	route_ids_fini(&ids);
	route_ids_fini(&read);
}

static void another_boot_is_no_image(void **state)
{
	struct buf b = image();

	(void)state;
	assert_int_equal(parse(b.data, b.len, BOOT), 0);
	assert_int_equal(parse(b.data, b.len, "another"), -ENOENT);
	assert_int_equal(parse(b.data, b.len, ""), -ENOENT);
	buf_fini(&b);
}

static void a_missing_file_is_no_image(void **state)
{
	struct ruleset *rs = NULL;
	struct route_ids ids = { 0 };
	uint32_t genid;

	(void)state;
	assert_int_equal(ruleset_image_load("/nonexistent/image", BOOT, &rs, &ids, &genid),
			 -ENOENT);
	assert_int_equal(ruleset_image_load("/", BOOT, &rs, &ids, &genid), -ENOENT);
}

static void every_truncation_is_no_image(void **state)
{
	struct buf b = image();

	(void)state;
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(parse(b.data, n, BOOT), -ENOENT);
	buf_putc(&b, 0);
	assert_int_equal(parse(b.data, b.len, BOOT), -ENOENT);
	buf_fini(&b);
}

static void every_flipped_bit_is_no_image(void **state)
{
	struct buf b = image();

	(void)state;
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(parse(b.data, b.len, BOOT), -ENOENT);
		b.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(parse(b.data, b.len, BOOT), 0);
	buf_fini(&b);
}

/* Damage with a right checksum must be refused or harmless, never a crash. */
static void lies_behind_a_right_checksum_do_no_harm(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct buf b = image();

	(void)state;
	for (size_t i = RULESET_IMAGE_SUM_OFFSET + 8; i < b.len; i++) {
		char was = b.data[i];

		for (size_t k = 0; k < sizeof(values); k++) {
			b.data[i] = (char)values[k];
			fix_checksum(&b);
			parse(b.data, b.len, BOOT);
		}
		b.data[i] = was;
	}
	buf_fini(&b);
}

static void ids_are_sorted_by_name(void **state)
{
	struct route_ids ids = { 0 };
	char name[16];

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "r%u", i * 7919 % 1000);
		assert_int_equal(route_ids_add(&ids, name, i * 7919 % 1000 + 1), 0);
	}
	route_ids_seal(&ids);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		assert_int_equal(route_ids_find(&ids, name), i + 1);
	}
	route_ids_fini(&ids);
	assert_int_equal(route_ids_find(&ids, "r1"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(another_boot_is_no_image),
		cmocka_unit_test(a_missing_file_is_no_image),
		cmocka_unit_test(every_truncation_is_no_image),
		cmocka_unit_test(every_flipped_bit_is_no_image),
		cmocka_unit_test(lies_behind_a_right_checksum_do_no_harm),
		cmocka_unit_test(ids_are_sorted_by_name),
	};

	return cmocka_run_group_tests_name("ruleset image", tests, NULL, NULL);
}
