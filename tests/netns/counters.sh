#!/bin/bash
# Connections, packets and bytes, both ways, by route and by target: in all four cases of client
# and target, the same across applies, and kept when the table has to be made anew.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_numgen nft_redir
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
serve gw G -t '*:7100'
serve a S -t '*:7001' --sink

config one <<'JSON'
{"routes":[
 {"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"pool","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":7100}]}},
 {"name":"six","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"sink","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7001}],"nftables":{"preserveSourceIP":true}}}]}
JSON

# counts ROUTE KEY...: the values of one route, blank-separated.
counts() {
	local route=$1
	shift
	spctl status --json | jq -r --arg r "$route" '.routes[] | select(.name == $r) | [.'"$(printf '%s,.' "$@" | sed 's/,\.$//')"'] | join(" ")'
}
expect_counts() { # WANTED ROUTE KEY...
	local want=$1 got
	shift
	got=$(counts "$@")
	[[ $got == "$want" ]] || fail "$*: expected \"$want\", got \"$got\""
}
# total_is ROUTE N
total_is() { [[ $(counts "$1" total) == "$2" ]]; }

apply one
expect_counts '0 0 0 0 0 0' tcp active total bytesIn bytesOut packetsIn packetsOut

# One connection, seen from both ends: a SYN is 60 bytes, a bare ACK or FIN 52.
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_counts 1 tcp total
read -r in out_bytes pin pout <<<"$(counts tcp bytesIn bytesOut packetsIn packetsOut)"
((pin >= 4 && pin <= 7 && pout >= 3 && pout <= 6)) || fail "packets: $pin in, $pout out"
# in: SYN 60, ACKs and FIN 52 each, "hi" and its line end; out: SYN-ACK 60, the rest, 15 bytes of answer
((in == 60 + 52 * (pin - 1) + 3)) || fail "bytes in: $in with $pin packets"
((out_bytes == 60 + 52 * (pout - 1) + 15)) || fail "bytes out: $out_bytes with $pout packets"
expect_json "$(spctl status --json)" '.routes[0].targets[0] | .total == 1 and .packetsIn == '"$pin"

# By target; UDP is counted with TCP.
expect_answer $'A 5\nB 5' tcp 10.10.0.1:9001 -n 10 --tally
probe udp 10.10.0.1:9001 -n 4 --tally >/dev/null
expect_json "$(spctl status --json)" '.routes[1] | .total == 14 and ([.targets[].total] | add) == 14 and (.targets | all(.total == 7))'

# All four cases: clients outside and on the gateway, targets outside and on it.
for ns in cl gw; do
	expect_answer_in $ns 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_match "$(probe_in $ns tcp 10.10.0.1:9002)" '^G'
done
expect_counts 3 tcp total
expect_counts 2 local total
read -r in out_bytes pin pout <<<"$(counts local bytesIn bytesOut packetsIn packetsOut)"
((pin >= 8 && pin <= 14 && pout >= 6 && pout <= 12)) || fail "local target: $pin in, $pout out"
((in == 2 * 60 + 52 * (pin - 2) + 2 * 3)) || fail "local target, bytes in: $in with $pin packets"
expect_match "$(probe tcp '[fd10::1]:9003')" '^A'
expect_counts 1 six total

# Ten megabytes through the kernel: within five per cent of the payload, by GSO packets.
probe tcp 10.10.0.1:9004 --bulk 10485760 >/dev/null
read -r in <<<"$(counts sink bytesIn)"
((in >= 10485760 && in < 11010048)) || fail "10 MiB were counted as $in"
expect_counts 0 sink active

# An apply that changes other routes, the target, nothing: totals go on.
hold kept cl tcp 10.10.0.1:9000
eventually total_is tcp 4
expect_counts '1 4' tcp active total
jq '.routes[0].action.targets[0].host = "10.20.0.3"' "$T/one.json" >"$T/two.json"
apply two
expect_counts '1 4' tcp active total
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_counts '1 5' tcp active total
expect_json "$(spctl status --json)" '.routes[0].targets[0] | .total == 1 and .active == 0'
before=$(counts tcp bytesIn)
expect_hold kept 'A|10.20.0.1|still' still
(($(counts tcp bytesIn) > before)) || fail 'a flow to a former target is not counted any more'
apply two
expect_match "$out" 'nothing to do'
expect_counts '1 5' tcp active total

# Another name for the table; a table that somebody changed: made anew, the totals come along.
apply two --table other
expect_counts '1 5' tcp active total
gw nft add counter inet other foreign
expect_exit 1 spctl status
apply two --table other
expect_exit 0 spctl status
expect_counts '1 5' tcp active total
expect_hold kept 'A|10.20.0.1|still' still
hold_close kept

# A route that goes takes its totals with it; one of its name starts anew.
jq 'del(.routes[0])' "$T/two.json" >"$T/three.json"
apply three --table other
apply two --table other
expect_counts '0 0 0 0' tcp active total bytesIn bytesOut
expect_counts 14 pool total
in_sets=$(gw nft -j list table inet other | jq '[.nftables[].set // empty | select(.name == "new") | .elem // [] | length] | add')
[[ $in_sets -le 7 ]] || fail "$in_sets elements in the set new: former routes are not forgotten"

# The text fits, and tells.
run spctl status
expect_match "$out" 'pool +nftables +tcp\+udp/9001 +2 targets: +[0-9]+ +14 '
expect_match "$out" '10\.20\.0\.3:7000 +[0-9]+ +7 '
while IFS= read -r line; do
	((${#line} <= 100)) || fail "a line of ${#line} columns: $line"
done <<<"$out"
expect_exit 0 spctl down
