#!/bin/bash
# Two instances in one namespace, each with a route number 1: neither counts, limits or polices
# the other's connections.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
second() { spctl "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
config one <<'JSON'
{"routes":[{"name":"one","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
JSON
config two <<'JSON'
{"routes":[{"name":"two","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"maxRate":"8kbps"}},
  "security":{"maxConnections":1}}]}
JSON
apply one
expect_exit 0 second apply "$T/two.json"

# Far more than 8 kbit/s, three times.
big=$(printf 'x%.0s' {1..60000})
for _ in 1 2 3; do
	expect_match "$(probe tcp 10.10.0.1:9001 -m "$big" -w 4000)" '^A\|'
done
hold kept cl tcp 10.10.0.1:9001
expect_json "$(spctl status --json)" '.routes[0] | .total == 4 and .active == 1 and .bytesIn > 100000'
expect_json "$(second status --json)" '.routes[0] | .total == 0 and .active == 0 and .bytesIn == 0 and .bytesOut == 0 and .refused == {}'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9002
expect_json "$(second status --json)" '.routes[0] | .total == 1 and .bytesIn < 1000'
expect_json "$(spctl status --json)" '.routes[0].total == 4'
expect_exit 0 second down
expect_hold kept 'A|10.20.0.1|still' still
expect_exit 0 spctl down
