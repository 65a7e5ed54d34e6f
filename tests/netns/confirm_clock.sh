#!/bin/bash
# The wall clock is set back an hour, or forward, while a generation waits for confirmation: neither
# its timer nor any command is misled. (The clock of spctl alone: a library shifts what it is told.)
. "${0%/*}/lib.sh"
shift_so=$O/tests/preload/wallshift.so
[[ -x $shift_so ]] || fail "$shift_so is missing: run make tools"
. "${0%/*}/confirm_lib.bash"
shifted() { lab_in gw env LD_PRELOAD="$shift_so" WALLSHIFT="$T/shift" "$SPCTL" "$@"; }
timer() { pgrep -f "confirm-timer --state-dir $T/state"; }
no_timer() { [[ ! $(timer) ]]; }
old_serves() { [[ $(probe tcp 10.10.0.1:9000) == A* ]]; }
uptime_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

apply old
for by in -3600 3600; do
	# The library does what it says: applied in another hour.
	echo "$by" >"$T/shift"
	expect_exit 0 shifted apply "$T/new.json" --confirm 3600
	n=$(jq -s 'map(.generation) | max' "$T"/state/applied/*.json)
	shift_ms=$((($(jq .timeMs "$T/state/applied/$n.json") - $(date +%s%3N)) / 1000))
	((shift_ms - by < 60 && by - shift_ms < 60)) || fail "the clock is off by $shift_ms s, not by $by s"
	expect_exit 1 shifted status --json
	expect_json "$out" '.confirm.secondsLeft > 3590 and .confirm.secondsLeft <= 3600'
	# Told by two clocks, waits as long.
	expect_exit 1 spctl status --json
	expect_json "$out" '.confirm.secondsLeft > 3590 and .confirm.secondsLeft <= 3600'
	expect_exit 0 spctl rollback
	eventually no_timer

	# The clock jumps in the middle of the time: it ends when it would have ended.
	echo 0 >"$T/shift"
	before=$(uptime_ms)
	expect_exit 0 shifted apply "$T/new.json" --confirm $((2 * STRETCH))
	echo "$by" >"$T/shift"
	[[ $(tr '\0' '\n' <"/proc/$(timer)/environ") == *wallshift.so* ]] || fail 'the timer has the right time'
	expect_exit 1 shifted status --json
	expect_json "$out" ".confirm.secondsLeft >= 1 and .confirm.secondsLeft <= $((2 * STRETCH))"
	eventually old_serves
	took=$(($(uptime_ms) - before))
	((took >= 2000 * STRETCH - 10 && took < 9000 * STRETCH)) || fail "taken back after $took ms"
	eventually no_timer

	# The same with a dead timer: no command comes too early or never.
	echo 0 >"$T/shift"
	expect_exit 0 shifted apply "$T/new.json" --confirm $((2 * STRETCH))
	kill -KILL "$(timer)"
	echo "$by" >"$T/shift"
	taken_back() { shifted status >/dev/null && old_serves; }
	before=$(uptime_ms)
	eventually taken_back
	eventually no_timer
done
