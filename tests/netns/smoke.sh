#!/bin/bash
# The shortest way through everything: one route, one answer, down again.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

expect_exit 0 spctl version
expect_match "$out" '[0-9]+\.[0-9]+\.[0-9]+'
expect_exit 0 spctl help
expect_match "$out" 'apply'
expect_exit 2 spctl no-such-command
expect_exit 0 spctl status

config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_exit 0 spctl check "$T/one.json"
expect_exit 0 spctl plan "$T/one.json"
expect_match "$out" 'nftables'
expect_exit 0 spctl apply "$T/one.json" --dry-run
expect_no_table
expect_refused tcp 10.10.0.1:9000

apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status --json
expect_json "$out" '.schema == 1 and .drift == false and .routes[0].name == "tcp"'

expect_exit 0 spctl down
expect_no_table
expect_refused tcp 10.10.0.1:9000
