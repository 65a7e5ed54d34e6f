#!/bin/bash
# A4: one route over two hosts, round robin exactly.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_numgen
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

apply_config <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"lb","match":{"ports":9200},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"loadBalancing":{"algorithm":"round-robin"}}}]}
EOF
expect_answer $'A 50\nB 50' tcp 10.10.0.1:9200 -n 100 --tally
expect_answer_in c2 $'A 5\nB 5' tcp 10.30.0.1:9200 -n 10 --tally
# The same with two target entries.
apply_config <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"lb","match":{"ports":9200},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}]}}]}
EOF
expect_answer $'A 10\nB 10' tcp 10.10.0.1:9200 -n 20 --tally
expect_exit 0 spctl down
