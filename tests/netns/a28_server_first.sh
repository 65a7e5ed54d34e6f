#!/bin/bash
# A28: a server that greets before the client has said anything.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' --greet '220 mail.lab ready'

apply_config <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_answer '220 mail.lab ready' tcp 10.10.0.1:9000 --silent
expect_answer $'220 mail.lab ready\nA|10.20.0.1|HELO' tcp 10.10.0.1:9000 -m HELO --lines 2
expect_exit 0 spctl down
