#!/bin/bash
# A TCP connection that lives on the gateway's port already survives the apply of a route over it.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve gw G -t '*:9000'

hold old cl tcp 10.10.0.1:9000
expect_hold old 'G|10.10.0.2|one' one
hold local gw tcp 127.0.0.1:9000
expect_hold local 'G|127.0.0.1|one' one
apply_config <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_match "$err" '9000' 'a warning that names the port of the local listener'
expect_hold old 'G|10.10.0.2|two' two
expect_hold local 'G|127.0.0.1|two' two
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_hold old 'G|10.10.0.2|three' three
expect_exit 0 spctl down
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9000
expect_hold old 'G|10.10.0.2|four' four
hold_close old
hold_close local
