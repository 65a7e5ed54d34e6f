#!/bin/bash
# apply --confirm, its timer, confirm, rollback and the way back after a failed read-back, killed
# (SIGKILL) at every step: the old routes, the new ones, or new ones that still go back in time; and the
# next command ends what was begun. Needs a build with FAILPOINTS=1.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
. "${0%/*}/failpoint_lib.bash"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:8000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
CONFIG
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
declare -A hit=()

die() { # POINT COMMAND...
	local point=$1
	shift
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" "$@"
	[[ $code == 137 || $code == 0 ]] || fail "$* with the fail point $point: exit $code"
	[[ $code == 0 ]] || hit[$point]=1
}
timer() { pgrep -f "confirm-timer --state-dir $T/state"; }
no_timer() { [[ ! $(timer) ]] && { [[ ! -e $T/state/timer ]] || flock -n "$T/state/timer" true; }; }
newest() { jq -s 'map(.generation) | max' "$T"/state/applied/*.json; }
# Its time is over now: instead of waiting for it.
time_over() {
	local file
	file=$T/state/applied/$(newest).json
	jq '.confirm.deadlineMs = 1' "$file" >"$T/over" && mv "$T/over" "$T/state/over" && mv "$T/state/over" "$file"
}
waits() { [[ $(jq -r '.confirm.phase // "none"' "$T/state/applied/$(newest).json") == waiting ]]; }
both() { printf '%s%s' "$(probe tcp 10.10.0.1:9000 | cut -c1)" "$(probe tcp 10.10.0.1:9001 | cut -c1)"; }
# Two looks: the timer may be at work between the two halves of one.
whole() {
	local got
	got=$(both)
	[[ $got =~ ^(AA|BB)$ ]] || got=$(both)
	expect_match "$got" '^(AA|BB)$' "$1"
}
is_old() { [[ $(both) == AA ]]; }
apply old
hold kept cl tcp 10.10.0.1:9000
for point in "${points[@]}"; do
	# apply --confirm is killed. Nobody runs a command afterwards: the timer alone.
	die "$point" apply "$T/new.json" --confirm 600
	whole "apply --confirm, $point"
	if [[ $(both) == BB ]]; then
		[[ $(timer) ]] || fail "killed at $point: the new routes without a timer"
		waits || fail "killed at $point: the new routes do not wait for confirmation"
		time_over
	fi
	eventually is_old
	expect_hold kept 'A|10.20.0.1|one' one
	expect_exit 0 spctl status
	apply old
	eventually no_timer

	# The timer is killed while it takes them back.
	run lab_in gw env SPCTL_TIMER_FAILPOINT="$point" "$fp" apply "$T/new.json" --confirm 600
	expect_eq "$code" 0 "apply --confirm, timer with $point"
	expect_eq "$(both)" BB "apply --confirm, timer with $point"
	time_over
	eventually no_timer
	whole "timer killed at $point"
	expect_exit 0 spctl status
	[[ ! $err ]] || hit[$point]=1
	is_old || fail "timer killed at $point: status did not end its work"
	expect_exit 0 spctl status --json
	expect_json "$out" '.confirm == null and .drift == false'
	expect_hold kept 'A|10.20.0.1|two' two

	# rollback is killed while it takes them back.
	expect_exit 0 spctl apply "$T/new.json" --confirm 600
	die "$point" rollback
	whole "rollback, $point"
	expect_exit 0 spctl status
	is_old || fail "rollback killed at $point: status did not end its work"
	eventually no_timer

	# confirm is killed: it waits still, or is confirmed.
	expect_exit 0 spctl apply "$T/new.json" --confirm 600
	die "$point" confirm
	expect_eq "$(both)" BB "confirm, $point"
	if [[ $code == 137 ]] && waits; then
		expect_exit 1 spctl status
	fi
	expect_exit 0 spctl confirm
	expect_exit 0 spctl status
	eventually no_timer

	# rollback to a generation as a new one.
	die "$point" rollback
	whole "rollback of a confirmed one, $point"
	apply old
	expect_exit 0 spctl status
	expect_eq "$(both)" AA "after the next apply, $point"
done
hold_close kept
expect_exit 0 spctl down

# What waits was the first of all: what down does, killed anywhere, ends as if it had never been.
for point in "${points[@]}"; do
	[[ $point == down_* || $point == back_* || $point == locked ]] || continue
	run lab_in gw env SPCTL_TIMER_FAILPOINT="$point" "$fp" apply "$T/new.json" --confirm 600
	expect_eq "$code" 0 "apply --confirm, timer with $point"
	time_over
	eventually no_timer
	# Nothing applied: that is all that status says, or its own end of the work and then that.
	expect_exit 0 spctl status
	expect_match "$out" 'nothing is applied' "first, timer killed at $point"
	[[ ! $err ]] || hit[$point]=1
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset, timer killed at $point"
	expect_eq "$(sysctls)" "$sys" "sysctls, timer killed at $point"
done

# down while one waits, killed after its first step: who asked for nothing gets nothing back.
for point in down_drained down_flows down_sysctls down_table; do
	apply old
	expect_exit 0 spctl apply "$T/new.json" --confirm 600
	die "$point" down
	expect_eq "$code" 137 "down killed at $point"
	gone() { [[ $(spctl status 2>/dev/null) == 'nothing is applied' ]]; }
	eventually gone
	eventually no_timer
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset, down killed at $point"
	expect_eq "$(sysctls)" "$sys" "sysctls, down killed at $point"
done

# Read back differently, and killed while the old one is put back: the next apply puts all right.
apply old
is_stopped() { [[ $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$job/status") == T ]]; }
for point in put_back_settings put_back; do
	nsenter --net=/run/netns/gw -- env SPCTL_STOPPOINT=committed SPCTL_FAILPOINT="$point" \
		"$fp" apply "$T/new.json" >"$T/out" 2>&1 &
	job=$!
	eventually is_stopped
	gw nft delete element inet spctl to4 '{ tcp . 9001 }'
	kill -CONT "$job"
	code=0
	wait "$job" || code=$?
	expect_eq "$code" 137 "killed at $point"
	hit[$point]=1
	apply old
	expect_eq "$(both)" AA "after a kill at $point"
	expect_exit 0 spctl status
done
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
# Those of settings are failpoints.sh's and take_back.sh's, like the very end of down.
missing=()
for point in "${points[@]}"; do
	[[ ${hit[$point]-} || $point =~ ^(prepared|found|served|heard|guarded|sysctls|closed|down_state|down_service)$ ]] || missing+=("$point")
done
((${#missing[@]} == 0)) || fail "fail points that were never on the way: ${missing[*]}"
