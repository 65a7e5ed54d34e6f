#!/bin/bash
# A service that apply started ends when no route needs it any more, and not before its last
# connection; the next apply that needs one gets one.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
route() { # ENGINE
	echo '{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward",'"$1"'"targets":[{"host":"10.20.0.2","port":7000}]}}]}'
}
route '"forwardingEngine":"relay",' | config relay
route '' | config kernel
runs() { gw pgrep -x spctl; }
stops() { ! runs; }

apply kernel
stops || fail "a service runs, and no route needs it"
apply relay
expect_match "$out" 'started the service \(pid [0-9]+\)'
first=$(runs | head -n 1)
hold old cl tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|one' one

# The port is the kernel's now; the connection is still the service's, which may be asked again.
apply kernel
expect_eq "$err" '' 'no word about the port that the service gives up'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
for _ in 1 2 3 4; do
	sleep 1
	expect_hold old 'A|10.20.0.1|two' two
done
apply relay
expect_no_match "$out" 'started the service'
expect_eq "$(runs | head -n 1)" "$first"
apply kernel
expect_hold old 'A|10.20.0.1|three' three

hold_close old
EVENTUALLY=15 eventually stops
expect_match "$(cat "$T/run/service.log")" 'no route needs the service any more'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
apply relay
expect_match "$out" 'started the service'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# Asked in the very moment in which it ends.
for delay in 2.8 3.0 3.2; do
	apply kernel
	sleep "$delay"
	apply relay
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
done
expect_exit 0 spctl down
stops || fail "down left a process"

# --no-daemon: an error that names the route and the reason, and nothing is changed.
expect_exit 1 spctl apply "$T/relay.json" --no-daemon
expect_match "$err" 'relay\.json:1:[0-9]+: error: .*route "tcp" needs the service: forwardingEngine "relay"'
expect_no_table
stops || fail "--no-daemon started it"
