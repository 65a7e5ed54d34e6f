#!/bin/bash
# A3: a range of ports, each to the same port of the target.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:9100-9120'

apply_config <<'EOF'
{"routes":[{"name":"range","match":{"ports":[{"from":9100,"to":9109},9120]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"preserve"}]}}]}
EOF
for port in 9100 9105 9109 9120; do
	expect_answer "A|10.20.0.1|$port" tcp "10.10.0.1:$port" -m "$port"
done
for port in 9099 9110 9119 9121; do
	expect_refused tcp "10.10.0.1:$port"
done
# The target's port is the one asked for: a server that listens on one port only.
serve b B -t '*:9200'
apply_config <<'EOF'
{"routes":[{"name":"text","match":{"ports":"9199-9201"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":"preserve"}]}}]}
EOF
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9200
expect_refused tcp 10.10.0.1:9199
expect_refused tcp 10.10.0.1:9201
expect_exit 0 spctl down
