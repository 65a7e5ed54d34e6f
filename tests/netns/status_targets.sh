#!/bin/bash
# status of routes with a thousand targets: the service tells each of them once, in as many parts as that takes, and
# counts what each of them got.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_connlimit
lab_up
serve a A -t '*:7000-7999'

config many < <(jq -n '{maxConnectionsPerIP: 0, connectionRateLimitPerMinute: 0, routes: [range(3) | {
	name: "many\(.)", match: {ports: (9000 + .)}, action: {type: "forward", forwardingEngine: "relay",
	targets: [range(1000) | {host: "10.20.0.2", port: (7000 + .)}]}}]}')
apply many

# Round robin: 700 connections are one for each of the first 700 targets.
expect_answer '700 ok' tcp 10.10.0.1:9001 -n 700 -c 50
targets_told() {
	expect_exit 0 spctl status --json
	jq -e '[.routes[] | .targets | length] == [1000, 1000, 1000]' <<<"$out" >/dev/null &&
		jq -e '.routes | map(.active) == [0, 0, 0] and map(.total) == [0, 700, 0]' <<<"$out"
}
eventually targets_told
expect_json "$out" '.routes[1].targets | map(.total) == [range(1000) | if . < 700 then 1 else 0 end]'
expect_json "$out" '.routes[0, 2].targets | map(.total) | add == 0'
expect_json "$out" '[.routes[].targets[] | .healthy] | all'
expect_json "$out" '[.routes[].targets | map(.port) == [range(7000; 8000)]] | all'
