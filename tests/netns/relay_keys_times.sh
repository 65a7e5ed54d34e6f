#!/bin/bash
# Times and sockets of relay routes, from the route file to the connection: each key changes what clients see.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
backend lost a L 10.20.0.2:7009

config base <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"keepAliveTreatment":"standard","routes":[{"name":"r","match":{"ports":9000},
 "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
# with FILTER: the base with that is applied.
base=base
with() {
	jq "$1" "$T/$base.json" | config now
	apply now
}
# What the client of port 9000 gets that says nothing more, and why it was ended.
ends_for() { # REASON
	local before
	before=$(refusals "$1")
	hold idle cl tcp 10.10.0.1:9000
	expect_hold idle 'A|10.20.0.1|hi' hi
	eventually more_refusals "$1" "$before"
	hold_close idle
}
more_refusals() { (($(refusals "$1") > $2)); }

with '. + {connectionTimeout: 300} | .routes[0].action.targets[0].port = 7009'
expect_match "$(probe tcp 10.10.0.1:9000 -w $((8000 * STRETCH)))" '^(reset|closed)$'
expect_eq "$(refusals connect_timeout)" 1

with '. + {inactivityTimeout: 400}'
ends_for inactivity
# keepAliveTreatment: extended multiplies it, immortal lifts it; neither does where the route has a time of its own.
with '. + {inactivityTimeout: 200, keepAliveTreatment: "extended", keepAliveInactivityMultiplier: 2}'
ends_for inactivity
with '. + {inactivityTimeout: 60000, keepAliveTreatment: "immortal"} | .routes[0].action.advanced.timeout = 300'
ends_for inactivity
with '. + {maxConnectionLifetime: 400}'
ends_for max_lifetime
with '. + {keepAliveTreatment: "extended", extendedKeepAliveLifetime: 400}'
ends_for max_lifetime

# These three hold all the while that a fourth route's connection needs to be ended for being idle.
jq '. + {inactivityTimeout: 200, keepAliveInactivityMultiplier: 1000} | .routes += [
	(.routes[0] | .name = "own" | .match.ports = 9001 | .action.advanced.timeout = 400)]' "$T/base.json" | config two
base=two
for differs in '.keepAliveTreatment = "immortal"' '.disableInactivityCheck = true' '.keepAliveTreatment = "extended"'; do
	with "$differs"
	before=$(refusals inactivity)
	hold stays cl tcp 10.10.0.1:9000
	hold idle cl tcp 10.10.0.1:9001
	eventually more_refusals inactivity "$before"
	expect_hold stays 'A|10.20.0.1|still' still
	expect_eq "$(refusals inactivity)" $((before + 1)) "$differs"
	hold_close stays
	hold_close idle
done

# Keep-alive, on both sides: the kernel's timer says how long it waits.
keep_alive_timers() { gw ss -Htno state established '( sport = :9000 or dport = :7000 )' | grep -c 'timer:(keepalive,' || :; }
expect_timers() { [[ $(keep_alive_timers) == "$1" ]]; }
with '. + {keepAliveTreatment: "immortal", keepAliveInitialDelay: 2000}'
hold alive cl tcp 10.10.0.1:9000
expect_hold alive 'A|10.20.0.1|x' x
expect_eq "$(keep_alive_timers)" 0
eventually expect_timers 2
gw ss -Htno state established '( sport = :9000 or dport = :7000 )' >"$T/timers"
expect_no_match "$(cat "$T/timers")" 'keepalive,([3-9]|[0-9]{2,})[.s]|min,' 'longer than 2 s'
with '. + {keepAliveTreatment: "immortal", keepAliveInitialDelay: 100000}'
hold later cl tcp 10.10.0.1:9000
long_timers() { [[ $(gw ss -Htno state established '( sport = :9000 or dport = :7000 )' | grep -c 'keepalive,1min' || :) == 2 ]]; }
eventually long_timers
hold_close alive
hold_close later
eventually plane_is_idle
# Without it: none, where a younger connection of another route has it; the route's own word is the last.
for how in '.keepAlive = false | .routes[1].action.advanced = {keepAlive: true}' \
	'.routes[0].action.advanced.keepAlive = false | del(.routes[1].action.advanced)'; do
	with "$how"' | .inactivityTimeout = 0 | .keepAliveInitialDelay = 1000'
	hold off cl tcp 10.10.0.1:9000
	hold on cl tcp 10.10.0.1:9001
	on_has_it() { gw ss -Htno state established 'sport = :9001' | grep 'timer:(keepalive,'; }
	eventually on_has_it
	expect_hold off 'A|10.20.0.1|x' x
	expect_eq "$(gw ss -Htno state established 'sport = :9000' | grep -c keepalive || :)" 0 "$how"
	hold_close off
	hold_close on
done
expect_exit 0 spctl down
