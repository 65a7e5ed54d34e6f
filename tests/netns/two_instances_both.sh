#!/bin/bash
# Two instances that each turned something on: both can be taken down, in either order.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config four <<'EOF'
{"routes":[{"name":"four","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config six <<'EOF'
{"routes":[{"name":"six","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
EOF
second() { spctl "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
for order in 'spctl second' 'second spctl'; do
	apply four
	expect_exit 0 second apply "$T/six.json"
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9001'
	for who in $order $order; do
		expect_exit 0 "$who" down
	done
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after $order"
	expect_eq "$(sysctls)" "$sys" "settings after $order"
done
