#!/bin/bash
# A client on the targets' own side: the answer must come back through the gateway.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000'

apply_config <<'EOF'
{"routes":[
 {"name":"masq","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"kept","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}],"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}}}]}
EOF
for port in 9000 9001; do
	# From B, and from A to itself, by the near and by the far address of the gateway.
	expect_answer_in b 'A|10.20.0.1|hi' tcp "10.20.0.1:$port"
	expect_answer_in b 'A|10.20.0.1|hi' tcp "10.10.0.1:$port"
	expect_answer_in a 'A|10.20.0.1|hi' tcp "10.20.0.1:$port"
	expect_answer_in b 'A|10.20.0.1|hi' udp "10.20.0.1:$port"
	expect_answer_in b 'A|fd20::1|hi' tcp "[fd20::1]:$port"
	expect_answer_in a 'A|fd20::1|hi' tcp "[fd20::1]:$port"
done
# Only those are masqueraded: who comes from the other side keeps the address.
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9001
expect_answer 'A|10.10.0.2|hi' udp 10.10.0.1:9001
expect_answer 'A|fd10::2|hi' tcp '[fd10::1]:9001'
expect_exit 0 spctl down
