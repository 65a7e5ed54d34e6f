#!/bin/bash
# What is refused is no traffic of its route, and maxRate does not keep a refusal back; nor does it
# make a connection's SYN, sent again, a new connection.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit
lab_up
serve a A -t '*:7000' -u '*:7000'
config policed <<'JSON'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"r","match":{"ports":9000,"transport":"all"},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"maxRate":"8kbps"}},
  "security":{"ipBlockList":["10.10.0.66"],"connectionRate":5}}]}
JSON
apply policed

# 3000 resets of 40 bytes are twice what the bucket of one direction holds.
expect_answer '0 ok, 3000 refused' tcp 10.10.0.1:9000 -s 10.10.0.66 -n 3000 -c 20 -w 2000
expect_answer refused tcp 10.10.0.1:9000 -s 10.10.0.66
expect_answer refused udp 10.10.0.1:9000 -s 10.10.0.66
expect_json "$(spctl status --json)" '.routes[0] | .refused.route_ip_blocked == 3002 and .total == 0 and .bytesIn == 0 and .bytesOut == 0 and .packetsOut == 0 and .targets[0].packetsOut == 0'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# The bucket is emptied from another client; one connection then is one connection.
probe udp 10.10.0.1:9000 -s 10.10.0.3 -n 1 -m "$(printf 'x%.0s' {1..1400})" >/dev/null
apply_config < <(jq '.routes[0].security.connectionRate = 100' "$T/policed.json")
probe udp 10.10.0.1:9000 -s 10.10.0.3 -n 90 -c 30 -w 200 -m "$(printf 'x%.0s' {1..1400})" >/dev/null
before=$(spctl status --json | jq '.routes[0].total')
probe tcp 10.10.0.1:9000 -w 3500 >/dev/null
after=$(spctl status --json | jq '.routes[0].total')
expect_eq "$((after - before))" 1 'one attempt to connect'
expect_exit 0 spctl down
