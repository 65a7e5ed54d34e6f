#!/bin/bash
# Names of relay routes: followed by their TTL; the last good answer stays, also with a service that
# starts anew where DNS is dead.
. "${0%/*}/lib.sh"
. "${0%/*}/names_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
gw ip addr add 10.99.0.1/32 dev lo
names_files <<<'127.0.0.1 localhost'
zone 'db.lan A 10.20.0.2 1'
dns_start

config relay <<'CONFIG'
{"connectionRateLimitPerMinute":0,"maxConnectionsPerIP":0,"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay",
  "targets":[{"host":"db.lan","port":7000}]}}]}
CONFIG
answers() { [[ $(probe tcp 10.10.0.1:9000 -w 500) == "$1|"* ]]; }
apply relay
expect_no_match "$err" 'not followed'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
hold kept cl tcp 10.10.0.1:9000
expect_hold kept 'A|10.20.0.1|one' one

zone 'db.lan A 10.20.0.3 1'
EVENTUALLY=12 eventually answers B
expect_hold kept 'A|10.20.0.1|two' two
expect_match "$(plane_log)" 'name "db\.lan" is 10\.20\.0\.3 now'
remembered() { jq -e '.names[0].addresses == ["10.20.0.3"]' "$T/state/found"; }
eventually remembered

# Silent, and then gone.
zone '* mode silent'
n=$(wc -l <"$T/asked")
asked_again() { (($(wc -l <"$T/asked") > n + 1)); }
EVENTUALLY=20 eventually asked_again
answers B || fail 'a silent server took the address away'
hold_close kept
lab_stop "$dns"
from=$SECONDS
apply relay
is_slow || ((SECONDS - from <= 2)) || fail "an apply without DNS took $((SECONDS - from)) s"
expect_match "$out" 'nothing to do: generation 1'
plane=$(plane_pid)
kill -9 "$(controller_pid)" "$plane"
gone() { [[ ! -e /proc/$plane ]]; }
eventually gone
expect_exit 0 spctl apply --boot
eventually answers B
expect_exit 0 spctl down
