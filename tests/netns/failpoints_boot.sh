#!/bin/bash
# apply --boot killed (SIGKILL) at every step, after a reboot, with and without a generation that waits:
# what runs is nothing or what was confirmed, whole and guarded, and the next apply --boot brings back all
# of it. Needs a build with FAILPOINTS=1 beside the plain one (SPCTL_FP, default $O-fp/spctl).
. "${0%/*}/lib.sh"
. "${0%/*}/boot_lib.bash"
need_kernel nft_fib nft_nat nft_masq ipv6
. "${0%/*}/failpoint_lib.bash"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:8000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
CONFIG
config new <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
declare -A hit=()

timer() { pgrep -f "confirm-timer --state-dir $T/state" || :; }
# Everything in the kernel, RUN and every process is gone; the kernel has another boot id.
reboot() {
	local pid
	for pid in $(timer); do
		kill -KILL "$pid"
	done
	host_boots
}
die() { # POINT: exit 137 if that point is on the way of apply --boot, 0 if not
	run lab_in gw env SPCTL_FAILPOINT="$1" "$fp" apply --boot
	[[ $code == 137 || $code == 0 ]] || fail "apply --boot with the fail point $1: exit $code"
	[[ $code == 0 ]] || hit[$1]=1
	# Nothing passes that is not a route's, even if forwarding is on already.
	[[ $(probe tcp 10.20.0.3:7000 -w 50) != B* ]] || fail "killed at $1: this host forwards what is no route's"
}
is_back() { # GENERATION WHAT
	local port
	for port in 9000 9001; do
		expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:$port
	done
	expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
	expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9002
	expect_eq "$(gw nft list tables)" 'table inet spctl' "tables, $2"
	expect_eq "$(cat "$T/state/live")" "$1" "live, $2"
	expect_exit 0 spctl status --json
	expect_json "$out" ".generation == $1 and .drift == false and .confirm == null" "$2"
	# Read from the kernel, not from what is remembered of it.
	rm -f "$T/run/image"
	expect_exit 0 spctl status --json
	expect_json "$out" '.drift == false' "$2, read from the kernel"
	expect_eq "$(rules_of)" "$table" "the table, $2"
	[[ $(probe tcp 10.20.0.3:7000 -w 50) == timeout ]] || fail "$2: this host forwards what is no route's"
}

reboot
apply old
table=$(rules_of)
for point in "${points[@]}"; do
	what="apply --boot killed at $point"
	reboot
	die "$point"
	expect_match "$(probe tcp 10.10.0.1:9000)$(probe tcp 10.10.0.1:9001)" \
		'^(refusedrefused|A\|10\.20\.0\.1\|hiA\|10\.20\.0\.1\|hi)$' "$what"
	expect_exit 0 spctl apply --boot
	is_back 1 "$what"

	# One waits for confirmation: it is never what comes.
	what="$what, with one that waits"
	expect_exit 0 spctl apply "$T/new.json" --confirm 600
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
	reboot
	die "$point"
	expect_match "$(probe tcp 10.10.0.1:9000)$(probe tcp 10.10.0.1:9001)" \
		'^(refusedrefused|A\|10\.20\.0\.1\|hiA\|10\.20\.0\.1\|hi)$' "$what"
	expect_exit 0 spctl apply --boot
	is_back 1 "$what"
done
expect_exit 0 spctl down

# The one that waits is the first of all: nothing comes, and nothing stays.
for point in "${points[@]}"; do
	expect_exit 0 spctl apply "$T/new.json" --confirm 600
	reboot
	die "$point"
	expect_answer refused tcp 10.10.0.1:9000
	expect_exit 0 spctl apply --boot
	expect_answer refused tcp 10.10.0.1:9000
	expect_exit 0 spctl status
	expect_match "$out" 'nothing is applied' "the first one waits, killed at $point"
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset, the first one waits, killed at $point"
	expect_eq "$(sysctls)" "$sys" "sysctls, the first one waits, killed at $point"
done
# A restart writes no generation and confirms none, arms no timer, and has no settings to turn off and no
# flows to end.
for point in "${points[@]}"; do
	[[ ${hit[$point]-} || $point =~ ^(prepared|found|served|heard|down_service|pending|armed|forgotten|put_back_settings|put_back|closed|confirmed|down_flows)$ ]] ||
		fail "the fail point $point was not on the way"
done
