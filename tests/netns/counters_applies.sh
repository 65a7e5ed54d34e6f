#!/bin/bash
# Totals are exact under load: thousands of connections through applies that change a target, and not
# one of them, nor one packet, counted twice or not at all.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
for host in 2 3; do
	config "$host" <<-E
		{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
		{"name":"still","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
		{"name":"moves","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.$host","port":7000}]}}]}
	E
done
apply 2
n=6000
load() { lab_in cl "$LAB_TOOLS/probe" tcp "10.10.0.1:$1" -n "$n" -c 8 -w 20000 --tally >"$T/tally.$1"; }
load 9000 &
one=$!
load 9001 &
two=$!
applies=0
while kill -0 $one 2>/dev/null || kill -0 $two 2>/dev/null; do
	apply $((2 + applies++ % 2))
done
wait $one $two
((applies >= 5)) || fail "only $applies applies"
expect_eq "$(cat "$T/tally.9000")" "A $n"
expect_eq "$(awk '{ sum += $2 } END { print sum }' "$T/tally.9001")" "$n" 'answers of both targets'

# Of 6 packets from the client and 4 to it each connection is made: retransmissions aside, which a
# machine without loss does not have.
run spctl status --json
expect_json "$out" ".routes | all(.total == $n and .packetsIn >= 4 * $n and .packetsIn <= 7 * $n)"
# A connection whose two lookups, of label and of target, a commit comes between counts for the former.
served=$(awk -v who="$([[ $((applies % 2)) == 1 ]] && echo A || echo B)" '$1 == who { print $2 }' "$T/tally.9001")
expect_json "$out" ".routes[1].targets[0].total - $served | fabs <= 2"
expect_exit 0 spctl down
