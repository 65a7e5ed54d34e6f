#!/bin/bash
# A connection table that is really full, of entries that the kernel does not give up: applying, looking,
# confirming and going back work all the same, what lives goes on, and doctor and status stay true.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
max=$(gw cat /proc/sys/net/netfilter/nf_conntrack_max)
((max <= 1000000)) || skip "nf_conntrack_max is $max: too many to fill"
config one <<'JSON'
{"routes":[{"name":"r","match":{"ports":9000,"transport":"all"},"security":{"maxConnections":5},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
JSON
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/one.json" >"$T/two.json"
apply one
hold kept cl tcp 10.10.0.1:9000

fill() {
	gw "$LAB_TOOLS/ctfill" $((max + 1000)) >/dev/null
	(($(gw cat /proc/sys/net/netfilter/nf_conntrack_count) >= max)) || fail 'the table is not full'
}
fill
expect_none_in cl tcp 10.10.0.1:9000
expect_hold kept 'A|10.20.0.1|still' still

expect_exit 0 spctl status --json
expect_json "$out" '.drift == false and .routes[0].active == 1'
expect_exit 1 spctl doctor
expect_match "$out" 'problem +conntrack'
expect_exit 0 spctl conns
expect_match "$out" '10\.10\.0\.2'

# A change, one that is not confirmed, and back; the connection that lives does not notice.
apply two
expect_hold kept 'A|10.20.0.1|still' still
expect_exit 0 spctl apply "$T/one.json" --confirm 1
waits() { [[ $(spctl status --json | jq '.confirm') != null ]]; }
back() { ! waits; }
eventually back
expect_exit 0 spctl explain --port 9000
expect_match "$out" '10\.20\.0\.3:7000'
expect_exit 0 spctl rollback 1
expect_hold kept 'A|10.20.0.1|still' still
apply two

# What --kill ends is ended among a quarter of a million that are not ours.
count=$(gw cat /proc/sys/net/netfilter/nf_conntrack_count)
expect_exit 0 spctl apply "$T/two.json" --kill
hold_say kept gone
expect_match "$answer" '^(reset|closed|gone|silent)$' 'a connection to the former target'
(($(gw cat /proc/sys/net/netfilter/nf_conntrack_count) >= count - 5)) || fail 'connections of others were ended'

# Room again: served at once, and the limit has counted nothing that never was.
gw conntrack -F >/dev/null 2>&1
expect_answer '5 ok' tcp 10.10.0.1:9000 -n 5
answers_b() { [[ $(probe tcp 10.10.0.1:9000) == 'B|10.20.0.1|hi' ]]; }
eventually answers_b # once the last of the five is closed on all sides
fill
expect_exit 0 spctl down
expect_no_table
