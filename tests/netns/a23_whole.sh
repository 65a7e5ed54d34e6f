#!/bin/bash
# A23: TCP and UDP on a range, the client's address kept, lists, and a rate that bulk transfers settle at.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_limit
lab_up
serve a A -u '*:9700-9703' -t '*:9700' -t '*:9703'
serve a U --sink -t '*:9701'
serve a D --source 100000000 -t '*:9702'

apply_config <<'E'
{"routes":[{"name":"k2","match":{"ports":[{"from":9700,"to":9702}]},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.2","port":"preserve"}],"nftables":{"protocol":"all","preserveSourceIP":true,"useIPSets":true,"maxRate":"10mbps"}},"security":{"ipAllowList":["10.10.0.0/24"],"ipBlockList":["10.10.0.66"]}}]}
E
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9700
expect_answer 'A|10.10.0.9|hi' tcp 10.10.0.1:9700 -s 10.10.0.9
for port in 9700 9701 9702; do
	expect_answer "A|10.10.0.2|$port" udp "10.10.0.1:$port" -m "$port"
	for proto in tcp udp; do
		expect_answer refused "$proto" "10.10.0.1:$port" -s 10.10.0.66
		expect_answer_in c2 refused "$proto" "10.30.0.1:$port"
	done
done
expect_eq "$(refused list)" 12
for proto in tcp udp; do
	expect_refused "$proto" 10.10.0.1:9703
done

# bytes SET: what has passed so far
bytes() {
	gw nft -j list set inet $TABLE "$1" | jq '[.nftables[] | .set.elem // empty | .[].elem.counter.bytes] | add // 0'
}
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
# settles SET: within five looks of 2 s there is one at 10 Mbit/s within 20 %; the bucket holds a second's worth at
# first. Each look is timed at its beginning: it takes a while itself on a slow machine.
settles() {
	local start from end to kbits=0 i
	while (($(bytes "$1") < 3000000)); do
		((SECONDS < 30)) || fail "$1: no 3 MB in $SECONDS s"
		sleep 0.1
	done
	for ((i = 0; i < 5 && (kbits < 8000 || kbits > 12000); i++)); do
		start=$(now_ms) from=$(bytes "$1")
		sleep 2
		end=$(now_ms) to=$(bytes "$1")
		kbits=$(((to - from) * 8 / (end - start)))
		echo "$1: $kbits kbit/s"
	done
	((kbits >= 8000 && kbits <= 12000)) || fail "$1: $kbits kbit/s"
}
SECONDS=0
lab_start cl "$T/up.log" "$LAB_TOOLS/probe" tcp 10.10.0.1:9701 --bulk 100000000 -w 10000
up_pid=$lab_pid
settles up
# The other way, while the first still runs: each direction has its own.
lab_start cl "$T/down.log" "$LAB_TOOLS/probe" tcp 10.10.0.1:9702 --drain -w 10000
settles down
kill -0 "$up_pid" || fail 'the transfer upwards has ended'
expect_exit 0 spctl down
