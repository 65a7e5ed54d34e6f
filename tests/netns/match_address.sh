#!/bin/bash
# match.address: a route of one local address; the others go to the route for all of them.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
gw ip addr add 10.10.0.11/24 dev lan

apply_config <<'EOF'
{"routes":[
 {"name":"own","match":{"ports":9000,"transport":"all","address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"rest","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.3","fd20::3"],"port":7000}]}},
 {"name":"only","match":{"ports":9001,"address":["10.10.0.11","fd10::1"]},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}}]}
EOF
for proto in tcp udp; do
	expect_answer 'A|10.20.0.1|hi' "$proto" 10.10.0.1:9000
	expect_answer 'B|10.20.0.1|hi' "$proto" 10.10.0.11:9000
	expect_answer 'B|10.20.0.1|hi' "$proto" 10.20.0.1:9000
	expect_answer 'B|fd20::1|hi' "$proto" '[fd10::1]:9000'
done
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.11:9001
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9001'
expect_refused tcp 10.10.0.1:9001
expect_refused tcp '[fd20::1]:9001'
expect_exit 0 spctl down
