#!/bin/bash
# conns with a service: its connections beside the kernel's, each on one line, whatever the kernel's table has of them.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_connlimit
lab_up
serve a A -t '*:7000'
serve b B -t '*:7001'
# Its name, as the service gets it: in the dataplane's hosts nobody asks a name server.
config both <<'CONFIG'
{"maxConnectionsPerIP":100,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"kernel","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"relay","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"tls","match":{"ports":9443,"domains":"*.a-domain-with-a-rather-long-name.example.test"},"action":{"type":"forward","tls":{"mode":"passthrough"},"targets":[{"host":"10.20.0.3","port":7443}]}}]}
CONFIG
apply both
expect_exit 0 spctl conns
expect_eq "$out" 'no connections'

# One of the service, one of the kernel: two lines, though the kernel's table has three entries.
gw sh -c 'echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct'
hold r cl tcp 10.10.0.1:9001 -p 40001
hold k cl tcp 10.10.0.1:9000 -p 40002
expect_hold r 'A|10.20.0.1|0123456789' 0123456789
expect_hold k 'A|10.20.0.1|hi' hi
expect_eq "$(gw conntrack -L -p tcp 2>/dev/null | grep -c ESTABLISHED)" 3
expect_exit 0 spctl conns --json
expect_json "$out" '[.conns[].route] == ["kernel", "relay"]'
relay=$(jq -c '.conns[1]' <<<"$out")
expect_json "$relay" '.tier == "relay" and .protocol == "tcp" and .gone == false and .routeId == 2'
expect_json "$relay" '.client == {"address":"10.10.0.2","port":40001} and .local == {"address":"10.10.0.1","port":9001}'
expect_json "$relay" '.target == {"address":"10.20.0.2","port":7000} and .sni == null'
expect_json "$relay" '.bytesIn == 11 and .bytesOut == 23 and .mover == "copy" and .state == "relay"'
expect_json "$relay" '.ageSeconds >= 0 and .ageSeconds < 30 and .idleSeconds <= .ageSeconds'
expect_exit 0 spctl conns
expect_eq "$(wc -l <<<"$out")" 3
expect_match "$out" $'\n''relay +tcp +10\.10\.0\.2:40001 +10\.10\.0\.1:9001 +10\.20\.0\.2:7000 +copy +- +11/23 +[0-9]+s'
expect_match "$out" $'\n''kernel +tcp +10\.10\.0\.2:40002 .* ESTAB +[0-9]+[dh] +[0-9]+/[0-9]+ +-'
# One route's.
expect_exit 0 spctl conns --route relay --json
expect_json "$out" '[.conns[].client.port] == [40001]'
expect_exit 0 spctl conns --route kernel --json
expect_json "$out" '[.conns[].client.port] == [40002]'

# By name: the one that was asked for; within 100 columns. One that has said nothing yet has no route.
tls_certs b
tls_serve b b '*:7443'
asked=some-host.a-domain-with-a-rather-long-name.example.test
# shellcheck disable=SC2034 # nobody reads what it says
coproc TLS { nsenter --net=/run/netns/cl -- openssl s_client -connect 10.10.0.1:9443 -servername "$asked" -quiet 2>/dev/null; }
# shellcheck disable=SC2153 # coproc sets it
LAB_PIDS+=("$TLS_PID")
hold mute cl tcp 10.10.0.1:9443 -p 40003
with_name() { spctl conns --json | jq -e --arg n "$asked" 'any(.conns[]; .sni == $n and .route == "tls" and .target.port == 7443)'; }
eventually with_name
expect_exit 0 spctl conns --json
expect_json "$out" '.conns[-1] | .route == null and .gone == false and .client.port == 40003 and .state == "sniff" and .target == null and .mover == null'
expect_exit 0 spctl conns
expect_match "$out" 'AGE +SNI'
expect_match "$out" '(some-h[^ ]*\.\.[^ ]*test|'"$asked"')'
expect_match "$out" $'\n''- +tcp +10\.10\.0\.2:40003 .* sniff '
while read -r line; do
	((${#line} <= 100)) || fail "a line of ${#line} columns: $line"
done <<<"$out"

# More than one answer has room for: all of them, each once.
for ((i = 0; i < 100; i++)); do
	hold "m$i" cl tcp 10.10.0.1:9001 -s 10.10.0.9
done
expect_exit 0 spctl conns --route relay --json
expect_json "$out" '[.conns[] | select(.client.address == "10.10.0.9") | .client.port] | length == 100 and (unique | length) == 100'
for ((i = 0; i < 100; i++)); do
	hold_close "m$i"
done

# A route that is gone keeps its connection, and its name.
jq '.routes |= map(select(.name != "relay"))' "$T/both.json" >"$T/less.json"
apply less
expect_hold r 'A|10.20.0.1|still' still
expect_exit 0 spctl conns --route relay --json
expect_json "$out" '[.conns[] | select(.client.port == 40001)] | length == 1 and .[0].gone'

# What ended is not shown; a service that is stopped is told, with what there is without it.
hold_close r
left() { spctl conns --json | jq -e '[.conns[].client.port] | index(40001) == null'; }
eventually left
pid=$(cat "$SPCTL_RUN_DIR/run.pid")
kill -STOP "$pid"
expect_exit 1 spctl conns --json
expect_json "$out" '[.conns[].client.port] == [40002] and (.attention[0] | test("are not all here: .*time"))'
expect_exit 1 spctl conns
expect_match "$err" "connections of the service \(pid $pid\) are not all here"
kill -CONT "$pid"
fine() { spctl conns; }
eventually fine
