/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a plan to the table. Shares and stability of the slots; what one changed
 * route may touch; and whole tables against golden dumps: for each NAME.yaml in
 * tests/data/golden, what `nft -s -p list table` says after the kernel took it is
 * NAME.nft. GOLDEN_UPDATE=1 writes the dumps anew (then look at the difference).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>

#include "ctl/base/io.h"
#include "ctl/nft/nft.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_compile_internal.h"
#include "tests/unit/plan_fixture.h"

#define OWNER "0123456789abcdef0123456789abcdef"

/* ---- slots ---- */

static const char *letters(const uint16_t *slot, unsigned n)
{
	static char out[MAX_SLOTS + 1];

	for (unsigned i = 0; i < n; i++)
		out[i] = (char)('a' + slot[i]);
	out[n] = '\0';
	return out;
}

static void round_robin_is_interleaved_exactly(void **state)
{
	static const struct {
		unsigned n, weights[4];
		const char *slots;
	} cases[] = {
		{ 1, { 1 }, "a" },
		{ 1, { 9 }, "a" },
		{ 2, { 1, 1 }, "ab" },
		{ 2, { 7, 7 }, "ab" },
		{ 3, { 1, 1, 1 }, "abc" },
		{ 2, { 2, 1 }, "aba" },
		{ 2, { 7, 3 }, "abaaabaaba" },
		{ 2, { 70, 30 }, "abaaabaaba" },
		{ 3, { 5, 1, 1 }, "aabacaa" },
		{ 4, { 1, 2, 3, 4 }, "dcbdacdbcd" },
	};
	uint16_t slot[MAX_SLOTS];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned n = slots_round_robin(cases[i].weights, cases[i].n, slot);

		assert_string_equal(letters(slot, n), cases[i].slots);
	}
}

static void round_robin_gives_each_its_weight_and_never_too_many_slots(void **state)
{
	static const unsigned coprime[] = { 256, 255, 253, 251, 1 }, many[] = { 4095, 2 };
	unsigned count[5] = { 0 }, n;
	uint16_t slot[MAX_SLOTS];

	(void)state;
	n = slots_round_robin(coprime, 5, slot);
	assert_int_equal(n, 256 + 255 + 253 + 251 + 1);
	for (unsigned i = 0; i < n; i++)
		count[slot[i]]++;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(count[i], coprime[i]);
	assert_int_equal(slots_round_robin(many, 2, slot), 0); /* 4097 slots */
	assert_int_equal(slots_round_robin(many, 1, slot), 1);
}

static uint64_t key_of(unsigned i)
{
	/* As the compiler makes them: neighbouring addresses. */
	uint8_t address[16] = { 10, 2, 0, (uint8_t)i };
	uint64_t h = 0xcbf29ce484222325ull;

	for (unsigned k = 0; k < 16; k++)
		h = (h ^ address[k]) * 0x100000001b3ull;
	return h;
}

static void hash_shares_follow_the_weights(void **state)
{
	static const unsigned weights[][8] = {
		{ 1, 1, 1, 1, 1, 1, 1, 1 },
		{ 1, 2, 3, 4, 1, 2, 3, 4 },
		{ 100, 100, 100, 100, 100, 100, 100, 300 },
	};
	uint16_t slot[MAX_SLOTS];
	uint64_t keys[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		keys[i] = key_of(i);
	for (size_t w = 0; w < sizeof(weights) / sizeof(*weights); w++) {
		unsigned count[8] = { 0 }, sum = 0, n = slots_hash(keys, weights[w], 8, slot);

		assert_int_equal(n, 1024);
		for (unsigned i = 0; i < n; i++)
			count[slot[i]]++;
		for (unsigned i = 0; i < 8; i++)
			sum += weights[w][i];
		for (unsigned i = 0; i < 8; i++) {
			double share = (double)count[i] / n, want = (double)weights[w][i] / sum;

			/* Four standard deviations of 1024 fair draws are less than this. */
			if (share < want - 0.045 || share > want + 0.045)
				fail_msg("weights %zu, target %u: %.3f of the slots, not %.3f", w,
					 i, share, want);
		}
	}
	assert_int_equal(slots_hash(keys, weights[0], 0, slot), 0);
}

static void a_target_that_goes_moves_only_its_own_slots(void **state)
{
	static const unsigned weights[10] = { 1, 1, 1, 1, 1, 3, 1, 1, 1, 1 };
	uint16_t before[MAX_SLOTS], after[MAX_SLOTS];
	uint64_t keys[10];
	unsigned n, moved = 0, its = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		keys[i] = key_of(i);
	n = slots_hash(keys, weights, 10, before);
	assert_int_equal(slots_hash(keys, weights, 9, after), n);
	for (unsigned i = 0; i < n; i++) {
		its += before[i] == 9;
		moved += before[i] != after[i];
		if (before[i] != 9)
			assert_int_equal(after[i], before[i]);
	}
	/* Going: 9 leaves. Coming is the same the other way round. */
	assert_int_equal(moved, its);
	assert_in_range(its, n / 24, n / 6);
}

static void more_weight_only_draws_slots_to_that_target(void **state)
{
	unsigned weights[6] = { 1, 1, 1, 1, 1, 1 }, n, moved = 0;
	uint16_t before[MAX_SLOTS], after[MAX_SLOTS];
	uint64_t keys[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		keys[i] = key_of(i);
	n = slots_hash(keys, weights, 6, before);
	weights[2] = 2;
	slots_hash(keys, weights, 6, after);
	for (unsigned i = 0; i < n; i++) {
		moved += before[i] != after[i];
		if (before[i] != after[i])
			assert_int_equal(after[i], 2);
	}
	assert_in_range(moved, n / 20, n / 4);
}

static void the_order_of_targets_moves_nothing(void **state)
{
	static const unsigned weights[5] = { 1, 2, 3, 4, 5 }, turned[5] = { 5, 4, 3, 2, 1 };
	uint16_t before[MAX_SLOTS], after[MAX_SLOTS];
	uint64_t keys[5], back[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		keys[i] = back[4 - i] = key_of(i);
	slots_hash(keys, weights, 5, before);
	for (unsigned i = 0; i < slots_hash(back, turned, 5, after); i++)
		assert_int_equal(before[i], 4 - after[i]);
}

static void many_targets_get_more_slots(void **state)
{
	static unsigned weights[33];
	static uint64_t keys[33];
	unsigned count[33] = { 0 };
	uint16_t slot[MAX_SLOTS];

	(void)state;
	for (unsigned i = 0; i < 33; i++) {
		weights[i] = 1;
		keys[i] = key_of(i);
	}
	assert_int_equal(slots_hash(keys, weights, 32, slot), 1024);
	assert_int_equal(slots_hash(keys, weights, 33, slot), 4096);
	for (unsigned i = 0; i < 4096; i++)
		count[slot[i]]++;
	for (unsigned i = 0; i < 33; i++)
		assert_in_range(count[i], 4096 / 33 / 2, 4096 / 33 * 2);
}

/* ---- compiling ---- */

static struct ruleset *compile_with(const uint32_t *ids)
{
	const struct compile_options o = {
		.table = "spctl", .owner = OWNER, .generation = 7, .ids = ids
	};
	struct err e = { 0 };
	struct ruleset *rs = ruleset_compile(fx.plan, &o, &e);

	if (!rs)
		fail_msg("%s", e.msg);
	return rs;
}

/* Route n of the file has id n + 1, as names keep theirs. */
static struct ruleset *compile(const char *routes)
{
	static uint32_t ids[64];

	for (unsigned i = 0; i < 64; i++)
		ids[i] = i + 1;
	fx_plan(routes);
	return compile_with(ids);
}

static bool has_elem(const struct rs_set *s, const uint8_t *elem, size_t stride)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (!memcmp(rs_elem(s, stride, i), elem, stride))
			return true;
	return false;
}

static const char *elem_text(const struct rs_set *s, size_t i)
{
	static char key[128], out[256];
	size_t stride = rs_set_stride(&s->def);
	const uint8_t *data = rs_elem(s, stride, i) + s->def.key_len + 4;
	size_t n =
		(size_t)snprintf(out, sizeof(out), "%s ",
				 rs_elem_format(&s->def, rs_elem(s, stride, i), key, sizeof(key)));

	if (rs_set_def_is_verdict(&s->def))
		snprintf(out + n, sizeof(out) - n, "%s", (const char *)data);
	else
		for (size_t k = 0; k < rs_set_data_len(&s->def) && n + 3 < sizeof(out); k++)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%02x", data[k]);
	return out;
}

/* "set: element" for what a has and b has not, one a line. The generation is left out. */
static const char *only_in(const struct ruleset *a, const struct ruleset *b)
{
	static char out[16384];
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->n_sets; i++) {
		const struct rs_set *s = a->sets[i], *t = ruleset_find_set(b, s->def.name);
		size_t stride = rs_set_stride(&s->def);

		if (!strcmp(s->def.name, RS_GENERATION_SET))
			continue;
		if (!t)
			len += (size_t)snprintf(out + len, sizeof(out) - len, "set %s\n",
						s->def.name);
		for (size_t k = 0; k < s->n && len < sizeof(out); k++)
			if (!has_elem(t, rs_elem(s, stride, k), stride))
				len += (size_t)snprintf(out + len, sizeof(out) - len, "%s: %s\n",
							s->def.name, elem_text(s, k));
	}
	for (size_t i = 0; i < a->n_chains && len < sizeof(out); i++) {
		const struct rs_chain *c = a->chains[i], *d = ruleset_find_chain(b, c->name);
		bool same = d && d->n == c->n;

		for (size_t k = 0; same && k < c->n; k++)
			same = c->rules[k].hash == d->rules[k].hash;
		if (!same)
			len += (size_t)snprintf(out + len, sizeof(out) - len, "chain %s\n",
						c->name);
	}
	return out;
}

#define LB(name, port, targets, algorithm)                                                  \
	"- {name: " name ", match: {ports: " port "}, action: {type: forward, "             \
	"targets: [{host: [" targets "], port: 80}], loadBalancing: {algorithm: " algorithm \
	"}}}\n"

static const char everything[] = FX_ROUTE("plain", "ports: 8000", FX_A)
	FX_ROUTE("range", "ports: 9000-9099", FX_TARGET("10.2.0.2", "preserve"))
		FX_ROUTE("offset", "ports: 9100-9119",
			 FX_TARGET("10.2.0.2", "'+1000'")) LB("rr", "8001", "10.2.0.2, 10.2.0.3",
							      "round-robin")
			LB("hash", "8002", "10.2.0.2, 10.2.0.3, 'fd02::2', 'fd02::3'",
			   "ip-hash") FX_ROUTE("at", "ports: 8003, address: 10.1.0.1", FX_A)
				FX_ROUTE("clients",
					 "ports: 8004, clientIp: [10.0.0.0/8, 10.9.0.0-10.10.0.7]",
					 FX_A);

static void the_same_plan_twice_is_the_same_ruleset(void **state)
{
	struct ruleset *a = compile(everything), *b = compile(everything);
	char what[128] = "";

	(void)state;
	if (!ruleset_equal(a, b, what, sizeof(what)))
		fail_msg("%s", what);
	assert_string_equal(only_in(a, b), "");
	ruleset_free(a);
	ruleset_free(b);
	fx_end();
}

static void another_route_touches_nothing_but_its_own(void **state)
{
	struct ruleset *a, *b;
	struct buf more = { 0 };

	(void)state;
	buf_printf(&more, "%s%s%s", everything,
		   FX_ROUTE("new", "ports: 8010", FX_TARGET("10.2.0.9", "81")),
		   LB("newlb", "8011", "10.2.0.2, 10.2.0.3", "round-robin"));
	a = compile(everything);
	b = compile(more.data);
	assert_string_equal(only_in(a, b), "");
	assert_string_equal(only_in(b, a),
			    "id4: tcp . 8010 080000000100000055fff031ce07e8c1\n"
			    "slot4: 36864 090000000100000055fff0310c90100e\n"
			    "slot4: 36865 090000000100000055fff031a1f0447e\n"
			    "svc4: tcp . 8011 r9_4\n"
			    "target4: 900:0:100:0:55ff:f031:c90:100e 0a02000200500000\n"
			    "target4: 900:0:100:0:55ff:f031:a1f0:447e 0a02000300500000\n"
			    "to4: tcp . 8010 0a02000900510000\n"
			    "chain r9_4\n");
	ruleset_free(a);
	ruleset_free(b);
	buf_fini(&more);
	fx_end();
}

static void a_changed_target_is_its_own_elements(void **state)
{
	struct ruleset *a, *b;

	(void)state;
	a = compile(FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 81", FX_A));
	b = compile(FX_ROUTE("a", "ports: 80", FX_A)
			    FX_ROUTE("b", "ports: 81", FX_TARGET("10.2.0.9", "80")));
	assert_string_equal(only_in(a, b), "id4: tcp . 81 020000000100000055fff0310c90100e\n"
					   "to4: tcp . 81 0a02000200500000\n");
	assert_string_equal(only_in(b, a), "id4: tcp . 81 020000000100000055fff031e6781dd3\n"
					   "to4: tcp . 81 0a02000900500000\n");
	ruleset_free(a);
	ruleset_free(b);
	a = compile(LB("a", "80", "10.2.0.2, 10.2.0.3, 10.2.0.4", "round-robin"));
	b = compile(LB("a", "80", "10.2.0.2, 10.2.0.9, 10.2.0.4", "round-robin"));
	assert_string_equal(only_in(a, b),
			    "slot4: 4097 010000000100000055fff031a1f0447e\n"
			    "target4: 100:0:100:0:55ff:f031:a1f0:447e 0a02000300500000\n");
	assert_string_equal(only_in(b, a),
			    "slot4: 4097 010000000100000055fff031e6781dd3\n"
			    "target4: 100:0:100:0:55ff:f031:e678:1dd3 0a02000900500000\n");
	ruleset_free(a);
	ruleset_free(b);
	fx_end();
}

static void a_renamed_id_is_the_only_difference_of_its_label(void **state)
{
	static const uint32_t one[] = { 1, 2 }, two[] = { 1, 5 };
	struct ruleset *a, *b;

	(void)state;
	fx_plan(FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 81", FX_A));
	a = compile_with(one);
	b = compile_with(two);
	assert_string_equal(only_in(a, b), "id4: tcp . 81 020000000100000055fff0310c90100e\n");
	ruleset_free(a);
	ruleset_free(b);
	fx_end();
}

static void weights_that_need_too_many_slots_are_refused_with_the_route(void **state)
{
	static const uint32_t ids[] = { 1 };
	const struct compile_options o = {
		.table = "spctl", .owner = OWNER, .generation = 7, .ids = ids
	};
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	buf_puts(&b, "- {name: r, match: {ports: 80}, action: {type: forward, targets: [");
	for (unsigned i = 0; i < 20; i++)
		buf_printf(&b, "%s{host: 10.2.0.%u, port: 80, weight: %u}", i ? "," : "", i + 1,
			   i % 2 ? 256 : 255);
	buf_puts(&b, "]}}\n");
	fx_plan(b.data);
	assert_null(ruleset_compile(fx.plan, &o, &e));
	assert_int_equal(e.code, -E2BIG);
	assert_non_null(strstr(e.msg, "too many targets or weights"));
	assert_non_null(strstr(e.hint, "4096"));
	assert_int_equal(e.loc.line, 2);
	buf_fini(&b);
	fx_end();
}

static void udp_is_seen_in_every_kind_of_map(void **state)
{
	static const struct {
		const char *routes;
		bool udp;
	} cases[] = {
		{ FX_ROUTE("r", "ports: 80", FX_A), false },
		{ FX_ROUTE("r", "ports: 80, transport: udp", FX_A), true },
		{ FX_ROUTE("r", "ports: 80-180, transport: udp", FX_A), true },
		{ FX_ROUTE("r", "ports: 80-180", FX_A), false },
		{ FX_ROUTE("r", "ports: 80, address: 10.1.0.1, transport: all", FX_A), true },
		{ FX_ROUTE("r", "ports: 80, address: 10.1.0.1", FX_A), false },
		{ FX_ROUTE("r", "ports: 80-180, address: 10.1.0.1, transport: udp", FX_A), true },
		{ LB("r", "{from: 80, to: 99}, transport: udp", "10.2.0.2, 10.2.0.3", "random"),
		  true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ruleset *rs = compile(cases[i].routes);

		if (ruleset_leads_udp(rs) != cases[i].udp)
			fail_msg("%s", cases[i].routes);
		ruleset_free(rs);
	}
	fx_end();
}

/* ---- golden dumps ---- */

static struct nft *nft;
static const char *unavailable;
static char dump[1 << 20];

static bool list_table(void)
{
	FILE *p = popen("nft -s -p list table inet spctl 2>&1", "r");
	size_t n = p ? fread(dump, 1, sizeof(dump) - 1, p) : 0;

	dump[n] = '\0';
	return p && !pclose(p);
}

/* Other versions of nft write the same table in other words. */
static bool nft_writes_like_the_dumps(void)
{
	char text[64] = "";
	FILE *p = popen("nft --version 2>/dev/null", "r");

	if (p && !fgets(text, sizeof(text), p))
		text[0] = '\0';
	if (p)
		pclose(p);
	return strstr(text, "v1.0.6") != NULL;
}

/* What the host is in these plans. */
static void golden_facts(struct fx_host *h)
{
	fx_local(h, "10.1.0.1");
	fx_local(h, "fd01::1");
	fx_listen(h, IPPROTO_TCP, "0.0.0.0", 8080);
	fx_listen(h, IPPROTO_TCP, "::", 8081);
}

static struct ruleset *golden_ruleset(const char *name, const char *text)
{
	static uint32_t ids[64];
	struct compile_options o = {
		.table = "spctl", .owner = OWNER, .generation = 7, .ids = ids
	};
	struct ruleset *rs;
	struct fx_host h = { 0 };
	struct err e = { 0 };

	golden_facts(&h);
	for (unsigned i = 0; i < 64; i++)
		ids[i] = i + 1;
	if (!fx_plan_text("", text))
		fail_msg("%s: %s", name, fx.diags.n ? fx.diags.v[0].msg : "");
	if (!strcmp(name, "guard")) {
		o.guard_v4 = o.guard_v6 = o.guard_loopback = true;
		rs = ruleset_guard(&o, &e);
	} else {
		o.guard_v4 = fx.plan->needs_forward_v4;
		o.guard_v6 = fx.plan->needs_forward_v6;
		rs = ruleset_compile(fx.plan, &o, &e);
	}
	if (!rs)
		fail_msg("%s: %s", name, e.msg);
	fx_end();
	fx_host_end(&h);
	return rs;
}

static void commit(const char *name, struct ruleset *rs)
{
	struct ruleset *back = NULL;
	struct err e = { 0 };
	char what[128];

	if (nft_commit(nft, rs, rs, 0, NFT_REPLACE, NULL, NULL, &e) ||
	    nft_read(nft, "spctl", &back, &e))
		fail_msg("%s: %s", name, e.msg);
	if (!ruleset_equal(rs, back, what, sizeof(what)))
		fail_msg("%s: the kernel has it differently: %s", name, what);
	ruleset_free(back);
}

static char golden_dir[512] = "tests/data/golden";

static void golden(const char *name)
{
	char path[600];
	struct buf text = { 0 }, want = { 0 };
	struct ruleset *rs;
	struct err e = { 0 };

	if (unavailable) {
		print_message("SKIP: %s\n", unavailable);
		skip();
	}
	snprintf(path, sizeof(path), "%s/%s.yaml", golden_dir, name);
	if (io_read_file(path, 1 << 20, &text, &e))
		fail_msg("%s", e.msg);
	rs = golden_ruleset(name, text.data);
	commit(name, rs);
	if (!list_table())
		fail_msg("%s: %s", name, dump);
	snprintf(path, sizeof(path), "%s/%s.nft", golden_dir, name);
	if (getenv("GOLDEN_UPDATE") && io_write_file_fast(path, dump, strlen(dump), 0644, &e))
		fail_msg("%s", e.msg);
	if (io_read_file(path, 1 << 20, &want, &e))
		fail_msg("%s", e.msg);
	if (strcmp(want.data, dump)) {
		print_message("%s\n", dump);
		fail_msg("%s is not what the kernel has (above)", path);
	}
	ruleset_free(rs);
	buf_fini(&text);
	buf_fini(&want);
}

#define GOLDEN(name)                            \
	static void golden_##name(void **state) \
	{                                       \
		(void)state;                    \
		golden(#name);                  \
	}

GOLDEN(policy)
GOLDEN(plain)
GOLDEN(range)
GOLDEN(preserve)
GOLDEN(offset)
GOLDEN(balance)
GOLDEN(weights)
GOLDEN(random)
GOLDEN(ip_hash)
GOLDEN(address)
GOLDEN(clients)
GOLDEN(keep_source)
GOLDEN(local)
GOLDEN(empty)
GOLDEN(guard)
GOLDEN(user)
GOLDEN(user_clients)

static void open_kernel(void)
{
	static struct err e;
	struct ruleset *rs = NULL;
	struct stat st;

	if (system("nft --version >/dev/null 2>&1"))
		unavailable = "no nft command";
	else if (!nft_writes_like_the_dumps())
		unavailable = "the dumps are those of nft 1.0.6";
	else if (stat(golden_dir, &st))
		unavailable = "tests/data/golden is not here (run it in the top directory)";
	else if (unshare(CLONE_NEWNET))
		unavailable = "no network namespace of our own (needs root)";
	if (unavailable)
		return;
	nft = nft_open(&e);
	if (!nft || nft_read(nft, "spctl", &rs, &e))
		unavailable = e.msg;
	ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_robin_is_interleaved_exactly),
		cmocka_unit_test(round_robin_gives_each_its_weight_and_never_too_many_slots),
		cmocka_unit_test(hash_shares_follow_the_weights),
		cmocka_unit_test(a_target_that_goes_moves_only_its_own_slots),
		cmocka_unit_test(more_weight_only_draws_slots_to_that_target),
		cmocka_unit_test(the_order_of_targets_moves_nothing),
		cmocka_unit_test(many_targets_get_more_slots),
		cmocka_unit_test(the_same_plan_twice_is_the_same_ruleset),
		cmocka_unit_test(another_route_touches_nothing_but_its_own),
		cmocka_unit_test(a_changed_target_is_its_own_elements),
		cmocka_unit_test(a_renamed_id_is_the_only_difference_of_its_label),
		cmocka_unit_test(weights_that_need_too_many_slots_are_refused_with_the_route),
		cmocka_unit_test(udp_is_seen_in_every_kind_of_map),
		cmocka_unit_test(golden_policy),
		cmocka_unit_test(golden_plain),
		cmocka_unit_test(golden_range),
		cmocka_unit_test(golden_preserve),
		cmocka_unit_test(golden_offset),
		cmocka_unit_test(golden_balance),
		cmocka_unit_test(golden_weights),
		cmocka_unit_test(golden_random),
		cmocka_unit_test(golden_ip_hash),
		cmocka_unit_test(golden_address),
		cmocka_unit_test(golden_clients),
		cmocka_unit_test(golden_keep_source),
		cmocka_unit_test(golden_local),
		cmocka_unit_test(golden_empty),
		cmocka_unit_test(golden_guard),
		cmocka_unit_test(golden_user),
		cmocka_unit_test(golden_user_clients),
	};
	int rc;

	open_kernel();
	rc = cmocka_run_group_tests_name("ruleset compile", tests, NULL, NULL);
	nft_close(nft);
	return rc;
}
