#!/bin/bash
# Connections made on the gateway itself reach the routes too.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'

apply_config <<'EOF'
{"routes":[
 {"name":"masq","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"kept","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}}},
 {"name":"six","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
EOF
for proto in tcp udp; do
	expect_answer_in gw 'A|10.20.0.1|hi' "$proto" 10.10.0.1:9000
	expect_answer_in gw 'A|10.20.0.1|hi' "$proto" 10.20.0.1:9000
	expect_answer_in gw 'A|10.20.0.1|hi' "$proto" 127.0.0.1:9000
done
expect_match "$(probe_in gw tcp 10.10.0.1:9001)" '^A\|10\.[12]0\.0\.1\|hi$' 'own address, source kept'
expect_answer_in gw 'A|10.20.0.1|hi' tcp 127.0.0.1:9001
expect_answer_in gw 'A|fd20::1|hi' tcp '[fd10::1]:9002'
expect_refused_in gw tcp 127.0.0.1:9003
expect_refused_in gw tcp 10.10.0.1:9003
# From elsewhere as ever.
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9001
expect_exit 0 spctl down
