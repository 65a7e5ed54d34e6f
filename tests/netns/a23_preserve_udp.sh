#!/bin/bash
# A23 without lists and rate: TCP and UDP on a range, the client's address kept.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat
lab_up
serve a A -r 9700-9703

apply_config <<'EOF'
{"routes":[{"name":"k2","match":{"ports":[{"from":9700,"to":9702}]},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.2","port":"preserve"}],"nftables":{"protocol":"all","preserveSourceIP":true}}}]}
EOF
for proto in tcp udp; do
	for port in 9700 9701 9702; do
		expect_answer "A|10.10.0.2|$port" "$proto" "10.10.0.1:$port" -m "$port"
	done
	expect_answer 'A|10.10.0.9|hi' "$proto" 10.10.0.1:9701 -s 10.10.0.9
	expect_answer_in c2 'A|10.30.0.2|hi' "$proto" 10.30.0.1:9701
	expect_refused "$proto" 10.10.0.1:9703
done
expect_exit 0 spctl down
