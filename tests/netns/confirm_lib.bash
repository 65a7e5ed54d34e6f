# shellcheck shell=bash
# confirm_lib: for the tests of `apply --confirm`. The lab with two servers, a route to A in old.json and
# the same to B in new.json.
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/old.json" >"$T/new.json"

# The timers of this test, by pid.
timer() { pgrep -f "confirm-timer --state-dir $T/state"; }
