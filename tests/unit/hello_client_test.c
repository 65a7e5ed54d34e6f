/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello_client: hellos of real clients: recorded ones (tests/data/hello), and those of the OpenSSL
 * that this is linked with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "ctl/base/buf.h"
#include "ctl/base/io.h"
#include "tests/unit/hello_feed.h"

static void expect_hello(const struct hello *h, const char *name, unsigned version,
			 const char *alpn, bool ech)
{
	assert_string_equal(h->name, name);
	assert_int_equal(h->max_version, version);
	assert_string_equal(h->alpn, alpn);
	assert_int_equal(h->has_alpn, *alpn != '\0');
	assert_int_equal(h->has_ech, ech);
}

/* Cut in two records at every place, and into records of any equal size. */
static void expect_in_any_records(const uint8_t *v, size_t n, const struct hello *whole)
{
	message.n = 0;
	take_message(&message, v, n);
	for (size_t cut = 1; cut < message.n; cut++) {
		struct hello two = { 0 }, even = { 0 }, grown = { 0 };

		stream.n = 0;
		put_records(&stream, message.v, message.n, cut, message.n);
		expect_answer(hello_feed(&two, stream.v, stream.n, BOUND), SNIFF_YES, "cut", cut);
		expect_same(&two, whole, SNIFF_YES);
		/* The segments end where the records do, and in the header behind. */
		for (size_t i = 0; i < 12 && cut + i < stream.n; i++)
			expect_answer(hello_feed(&grown, stream.v, cut + i, BOUND), SNIFF_MORE,
				      "segment", cut + i);
		expect_answer(hello_feed(&grown, stream.v, stream.n, BOUND), SNIFF_YES, "grown",
			      cut);
		expect_same(&grown, whole, SNIFF_YES);
		stream.n = 0;
		put_records(&stream, message.v, message.n, cut, cut);
		expect_answer(hello_feed(&even, stream.v, stream.n, BOUND), SNIFF_YES, "even", cut);
		expect_same(&even, whole, SNIFF_YES);
	}
}

static void hellos_of_real_clients_are_read_however_they_are_cut(void **state)
{
	static const struct {
		const char *file, *name, *alpn;
		unsigned version;
		bool ech;
		size_t behind; /* bytes of early data and such */
	} captures[] = {
		{ "chromium", "shop.example.test", "h2,http/1.1", 0x0304, true, 0 },
		{ "curl", "shop.example.test", "h2,http/1.1", 0x0304, false, 0 },
		{ "wget-gnutls", "localhost", "", 0x0304, false, 0 },
		{ "node", "shop.example.test", "", 0x0304, false, 0 },
		{ "java", "shop.example.test", "", 0x0304, false, 0 },
		{ "openssl-tls12", "shop.example.test", "", 0x0303, false, 0 },
		{ "openssl-no-name", "", "", 0x0304, false, 0 },
		{ "openssl-many-groups", "shop.example.test", "h2,http/1.1", 0x0304, false, 0 },
		{ "openssl-early-data", "shop.example.test", "", 0x0304, false, 71 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(captures) / sizeof(*captures); i++) {
		char path[128];
		struct hello h, before = { 0 };
		struct buf b = { 0 };
		struct err e = { 0 };
		const uint8_t *v;
		enum sniff s;

		snprintf(path, sizeof(path), "tests/data/hello/%s.bin", captures[i].file);
		assert_int_equal(io_read_file(path, 1 << 16, &b, &e), 0);
		v = (const uint8_t *)b.data;
		h = feed(v, b.len, BOUND, &s);
		assert_int_equal(s, SNIFF_YES);
		expect_hello(&h, captures[i].name, captures[i].version, captures[i].alpn,
			     captures[i].ech);
		/* Whole with its own last byte, not with what follows and not before. */
		assert_int_equal(hello_feed(&before, v, b.len - captures[i].behind - 1, BOUND),
				 SNIFF_MORE);
		assert_int_equal(hello_feed(&before, v, b.len - captures[i].behind, BOUND),
				 SNIFF_YES);
		expect_in_any_records(v, b.len, &h);
		buf_fini(&b);
	}
}

static SSL *openssl_client(SSL_CTX *ctx, const char *name, int version, const char *alpn)
{
	SSL *ssl;

	if (version) {
		SSL_CTX_set_min_proto_version(ctx, version);
		SSL_CTX_set_max_proto_version(ctx, version);
	}
	ssl = SSL_new(ctx);
	assert_non_null(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	if (name)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
	if (alpn)
		assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)alpn,
						     (unsigned)strlen(alpn)),
				 0);
	assert_int_not_equal(SSL_do_handshake(ssl), 1);
	return ssl;
}

static void hellos_that_openssl_makes_now_are_read(void **state)
{
	static const struct {
		const char *name;
		int version;
		const char *alpn;
		unsigned max;
		const char *alpn_text;
	} cases[] = {
		{ "Api.Example.Test", 0, NULL, 0x0304, "" },
		{ NULL, 0, NULL, 0x0304, "" },
		{ "api.example.test", TLS1_2_VERSION, NULL, 0x0303, "" },
		{ NULL, TLS1_2_VERSION, NULL, 0x0303, "" },
		{ "api.example.test", TLS1_3_VERSION, NULL, 0x0304, "" },
		{ "api.example.test", 0, "\x02h2\x08http/1.1", 0x0304, "h2,http/1.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL *ssl = openssl_client(ctx, cases[i].name, cases[i].version, cases[i].alpn);
		char *v;
		long n = BIO_get_mem_data(SSL_get_wbio(ssl), &v);
		enum sniff s;
		struct hello h = feed((const uint8_t *)v, (size_t)n, BOUND, &s);

		assert_int_equal(s, SNIFF_YES);
		expect_hello(&h, cases[i].name ? "api.example.test" : "", cases[i].max,
			     cases[i].alpn_text, false);
		expect_in_any_records((const uint8_t *)v, (size_t)n, &h);
		SSL_free(ssl);
		SSL_CTX_free(ctx);
	}
}

/* A client has to understand it: OpenSSL says which alert it got. */
static void the_alert_is_one_that_openssl_understands(void **state)
{
	static const uint8_t alerts[] = { HELLO_UNRECOGNIZED_NAME, HELLO_DECODE_ERROR };

	(void)state;
	for (size_t i = 0; i < sizeof(alerts); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL *ssl = openssl_client(ctx, "a.test", 0, NULL);
		uint8_t alert[HELLO_ALERT_BYTES];

		hello_alert(alert, alerts[i]);
		BIO_write(SSL_get_rbio(ssl), alert, sizeof(alert));
		ERR_clear_error();
		assert_int_not_equal(SSL_do_handshake(ssl), 1);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
				 SSL_AD_REASON_OFFSET + alerts[i]);
		SSL_free(ssl);
		SSL_CTX_free(ctx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hellos_of_real_clients_are_read_however_they_are_cut),
		cmocka_unit_test(hellos_that_openssl_makes_now_are_read),
		cmocka_unit_test(the_alert_is_one_that_openssl_understands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
