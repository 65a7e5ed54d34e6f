#!/bin/bash
# Each place that a limit can be written in: top level, defaults.security, the route; 0 is none; proxyIPs have none.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit ipv6
lab_up
serve a A -t '*:7000'
ok='A|10.20.0.1|hi'
# at_once N PROBE-ARG...: that many are open side by side, one more is refused; then all are closed
at_once() {
	local n=$1 i
	shift
	for ((i = 0; i < n; i++)); do
		eventually try_hold "at$i" cl tcp "$@"
	done
	expect_answer refused tcp "$@"
	for ((i = 0; i < n; i++)); do
		hold_close "at$i"
	done
}
# in_a_minute N KIND PROBE-ARG...
in_a_minute() {
	local n=$1
	shift
	expect_eq "$(probe tcp "$@" -n $((n + 2)) --tally | sort | paste -sd' ')" "A $n refused 2"
}
# unlimited PROBE-ARG...: 120 at once, 400 in a row
unlimited() {
	expect_eq "$(probe tcp "$@" -n 400 -c 120 -w 20000 --tally)" 'A 400' "$*"
}

apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,
 "defaults":{"security":{"maxConnections":2}},
 "routes":[
 {"name":"by-default","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"too","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"none","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"maxConnections":0,"maxConnectionsPerIP":0,"connectionRate":0}},
 {"name":"in-action","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"security":{"maxConnectionsPerIP":3}}},
 {"name":"rate","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"connectionRate":6}}]}
E
at_once 2 10.10.0.1:9000
at_once 2 10.10.0.1:9001
unlimited 10.10.0.1:9002
at_once 3 10.10.0.1:9003
in_a_minute 6 10.10.0.1:9004
in_a_minute 6 10.10.0.1:9004 -s 10.10.0.3

apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,
 "defaults":{"security":{"maxConnectionsPerIP":1}},
 "routes":[
 {"name":"by-default","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"too","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
hold a cl tcp 10.10.0.1:9000
at_once 1 10.10.0.1:9001
at_once 1 10.10.0.1:9000 -s 10.10.0.3
expect_answer refused tcp 10.10.0.1:9000
hold_close a

apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,
 "defaults":{"security":{"connectionRate":4}},
 "routes":[
 {"name":"by-default","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"too","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
in_a_minute 4 10.10.0.1:9000
in_a_minute 4 10.10.0.1:9001

# Without a word about it: 100 at once and 300 a minute. 0 is none.
none='{"ROUTES":0,"routes":[{"name":"r","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}'
apply_config <<<"${none/\"ROUTES\":0,/\"connectionRateLimitPerMinute\":0,}"
at_once 100 10.10.0.1:9000
apply_config <<<"${none/\"ROUTES\":0,/\"maxConnectionsPerIP\":0,}"
# 300 of them at once, and five more in each second that it takes.
SECONDS=0
n=$(probe tcp 10.10.0.1:9000 -n 600 -c 50 -w 20000 --tally | awk '/^A / { print $2 }')
((n >= 300 && n <= 300 + 5 * (SECONDS + 1))) || fail "$n of 600 connections in $SECONDS s, not 300"
apply_config <<<"${none/\"ROUTES\":0,/\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,}"
unlimited 10.10.0.1:9000

# The peers in proxyIPs stand for many clients: only what holds for the route as a whole holds for them.
apply_config <<'E'
{"maxConnectionsPerIP":1,"connectionRateLimitPerMinute":1,"proxyIPs":["10.10.0.9","fd10::9"],"acceptProxyProtocol":false,
 "routes":[
 {"name":"r","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"own","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnectionsPerIP":1,"connectionRate":1}},
 {"name":"whole","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnections":2}},
 {"name":"list","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipBlockList":["10.10.0.9"]}}]}
E
for port in 9000 9001; do
	unlimited 10.10.0.1:$port -s 10.10.0.9
	unlimited "[fd10::1]:$port" -s fd10::9
done
at_once 2 10.10.0.1:9002 -s 10.10.0.9
expect_answer refused tcp 10.10.0.1:9003 -s 10.10.0.9
expect_answer "$ok" tcp 10.10.0.1:9000
expect_answer refused tcp 10.10.0.1:9000
# fd10::2 shares its /64 with a peer, but is none.
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9001'
expect_answer refused tcp '[fd10::1]:9001'

# useIPSets: lists are sets whatever it says, and hold; false is told to have no effect.
for use in true false; do
	apply_config <<-E
		{"routes":[{"name":"r","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"useIPSets":$use}},"security":{"ipAllowList":["10.10.0.2"]}}]}
	E
	if [[ $use == false ]]; then
		expect_match "$err" 'routes\.json:1:[0-9]+: warning: routes\[0\]\.action\.nftables\.useIPSets: false has no effect'
	else
		expect_no_match "$err" 'useIPSets'
	fi
	expect_answer "$ok" tcp 10.10.0.1:9000
	expect_answer refused tcp 10.10.0.1:9000 -s 10.10.0.3
done
expect_exit 0 spctl down
