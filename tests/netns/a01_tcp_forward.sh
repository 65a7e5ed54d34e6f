#!/bin/bash
# A1 and A2: a plain TCP forward, in both spellings.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

apply_config <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.20.0.1|hi' tcp 10.20.0.1:9000
expect_answer_in c2 'A|10.20.0.1|hi' tcp 10.30.0.1:9000
expect_answer '40 ok' tcp 10.10.0.1:9000 -n 40 -c 10
expect_refused tcp 10.10.0.1:9001

# Without --kill a closed connection leaves nothing that counts as active.
idle() { gw "$SPCTL" status --json | jq -e '.routes[0].active == 0'; }
hold one cl tcp 10.10.0.1:9000
expect_hold one 'A|10.20.0.1|still here' 'still here'
expect_exit 0 spctl status --json
expect_json "$out" '.routes[0].active == 1'
hold_close one
eventually idle

apply_config <<'EOF'
{"routes":[{"name":"old","match":{"ports":[9001]},"action":{"type":"forward","target":{"host":"10.20.0.2","port":7000}}}]}
EOF
expect_no_match "$err" 'error'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_refused tcp 10.10.0.1:9000
expect_exit 0 spctl down
