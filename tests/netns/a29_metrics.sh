#!/bin/bash
# A29, the kernel's part: exactly 10 MiB each way through two routes; the totals are the payload
# within five per cent, each route's are the sum of its targets', and nothing is active afterwards.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' --sink
serve b B -t '*:7000' --source 10485760

config metrics <<'JSON'
{"routes":[
 {"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"back","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"k1","match":{"ports":9600},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"protocol":"tcp","tableName":"spctl_lab"}}},
 {"name":"k1back","match":{"ports":9601},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.3","port":7000}],"nftables":{"protocol":"tcp","tableName":"spctl_lab"}}}]}
JSON
apply metrics

expect_match "$(probe tcp 10.10.0.1:9000 --bulk 10485760)" '10485760'
expect_match "$(probe tcp 10.10.0.1:9600 --bulk 10485760)" '10485760'
expect_answer 10485760 tcp 10.10.0.1:9001 --drain
expect_answer 10485760 tcp 10.10.0.1:9601 --drain

run spctl status --json
within='def payload: . >= 10485760 and . < 11010048;'
expect_json "$out" "$within "'[.routes[] | select(.name == "tcp" or .name == "k1")] | length == 2 and all(.bytesIn | payload)'
expect_json "$out" "$within "'[.routes[] | select(.name == "back" or .name == "k1back")] | length == 2 and all(.bytesOut | payload)'
expect_json "$out" '.routes | all(.total == 1 and (.targets | length) == 1 and .bytesIn == .targets[0].bytesIn and .bytesOut == .targets[0].bytesOut)'
idle() { [[ $(spctl status --json | jq '[.routes[].active] | add') == 0 ]]; }
EVENTUALLY=2 eventually idle
# What is idle does not move.
before=$(spctl status --json | jq -c '[.routes[] | [.bytesIn, .bytesOut, .packetsIn, .packetsOut]]')
probe tcp 10.10.0.1:9700 >/dev/null
expect_eq "$(spctl status --json | jq -c '[.routes[] | [.bytesIn, .bytesOut, .packetsIn, .packetsOut]]')" "$before" 'idle routes'
expect_exit 0 spctl down
