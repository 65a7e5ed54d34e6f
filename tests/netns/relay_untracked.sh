#!/bin/bash
# Routes that are all user space's, without limits: the kernel's table has no hook, and nothing is tracked for our sake.
# As long as a connection of former kernel routes lives, the table keeps it translated.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config relay <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config kernel <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
hooks() { gw nft list table inet spctl | grep -c ' hook ' || :; }

apply relay
expect_eq "$(hooks)" 0 'hooks'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_eq "$(gw conntrack -L 2>/dev/null | wc -l)" 0 'tracked connections'
expect_exit 0 spctl status
apply relay
expect_match "$out" 'no change|nothing'

apply kernel
hold old cl tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|one' one
apply relay
expect_match "$(gw nft list table inet spctl)" 'chain drain'
expect_hold old 'A|10.20.0.1|two' two
expect_exit 0 spctl status
apply relay
expect_match "$out" 'no change|nothing'
expect_hold old 'A|10.20.0.1|three' three
hold_close old
expect_exit 0 spctl down
