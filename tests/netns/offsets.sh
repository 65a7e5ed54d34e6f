#!/bin/bash
# Port offsets, up and down, both edges; and a target port that has a second way in: the same
# client port must reach the right service, not the next one.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A1 -t '*:8000' -u '*:8000'
serve a A2 -t '*:8005' -u '*:8005'
serve a A3 -t '*:8010' -u '*:8010'
serve a A4 -t '*:8001'

apply_config <<'EOF'
{"routes":[
 {"name":"up","match":{"ports":{"from":7000,"to":7010},"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"+1000"}]}},
 {"name":"down","match":{"ports":{"from":19000,"to":19010},"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"-11000"}]}},
 {"name":"other","match":{"ports":6999},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":8000}]}}]}
EOF
for proto in tcp udp; do
	expect_answer 'A1|10.20.0.1|hi' "$proto" 10.10.0.1:7000
	expect_answer 'A2|10.20.0.1|hi' "$proto" 10.10.0.1:7005
	expect_answer 'A3|10.20.0.1|hi' "$proto" 10.10.0.1:7010
	expect_answer 'A1|10.20.0.1|hi' "$proto" 10.10.0.1:19000
	expect_answer 'A2|10.20.0.1|hi' "$proto" 10.10.0.1:19005
	expect_answer 'A3|10.20.0.1|hi' "$proto" 10.10.0.1:19010
	expect_refused "$proto" 10.10.0.1:6998
	expect_refused "$proto" 10.10.0.1:7011
	expect_refused "$proto" 10.10.0.1:18999
	expect_refused "$proto" 10.10.0.1:19011
done

hold first cl tcp 10.10.0.1:7000 -p 40000
expect_hold first 'A1|10.20.0.1|one' one
expect_answer 'A1|10.20.0.1|hi' tcp 10.20.0.1:7000 -p 40000
expect_answer 'A1|10.20.0.1|hi' tcp 10.10.0.1:6999 -p 40000
expect_answer 'A1|10.20.0.1|hi' tcp 10.10.0.1:19000 -p 40000
expect_hold first 'A1|10.20.0.1|two' two
expect_exit 0 spctl down
