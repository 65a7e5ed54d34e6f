#!/bin/bash
# The timer of apply --confirm is killed: the next command of any kind does its work, or starts it
# again. Each command that looks at what is applied is tried.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
# Its memory goes before its descriptors when it dies: the lock tells.
no_timer() { [[ ! $(timer) ]] && flock -n "$T/state/timer" true; }
kill_timer() {
	kill -KILL "$(timer)"
	eventually no_timer
}
# Long enough to kill the timer before it is over.
soon=$STRETCH
# The deadline is in N.json, in milliseconds of CLOCK_BOOTTIME.
overdue() { # GENERATION
	local deadline now
	deadline=$(jq .confirm.deadlineMs "$T/state/applied/$1.json")
	now=$(awk '{ printf "%d", $1 * 1000 }' /proc/uptime)
	((now > deadline + 20))
}

# Instead of waiting for it.
over_now() { # GENERATION
	jq '.confirm.deadlineMs = 1' "$T/state/applied/$1.json" >"$T/over" && cp "$T/over" "$T/state/over" &&
		mv "$T/state/over" "$T/state/applied/$1.json"
}

# Before the deadline: it is said, with the time that is left, and a new timer is started.
apply old
expect_exit 0 spctl apply "$T/new.json" --confirm 60
kill_timer
expect_exit 1 spctl status
expect_match "$err" 'the timer that takes generation 2 back was gone: it is started again'
expect_match "$out" 'else generation 1 comes back in [0-9]+ s, at .*its timer was gone'
eventually timer
expect_exit 1 spctl status
expect_eq "$err" '' 'stderr of the second status'
kill_timer
expect_exit 1 spctl status --json
expect_json "$out" '.confirm.timer == false and .confirm.secondsLeft > 30'
expect_exit 1 spctl status --json
expect_json "$out" '.confirm.timer'
# Confirmed with a dead timer, too.
kill_timer
expect_exit 0 spctl confirm
expect_exit 0 spctl status
eventually no_timer

# After the deadline: whichever command comes first does it, and says so.
n=3
for command in status history "plan $T/new.json" "explain --port 9000" conns doctor confirm rollback down "apply $T/new.json" \
	"apply --boot" "apply $T/old.json --dry-run"; do
	apply old
	last=$(spctl history --json | jq '.history[0].generation')
	n=$((last + 1))
	# The first one really waits.
	if [[ $command == status ]]; then
		expect_exit 0 spctl apply "$T/new.json" --confirm "$soon"
		kill_timer
		eventually overdue "$n"
	else
		expect_exit 0 spctl apply "$T/new.json" --confirm 60
		kill_timer
		over_now "$n"
	fi
	# Nobody has done anything yet: the proof that the command does.
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
	# shellcheck disable=SC2086 # words
	run spctl $command
	[[ $command == rollback ]] ||
		expect_match "$err" "generation $n was not confirmed in time: generation [0-9]+ is back" "$command"
	case $command in
	rollback) # what it takes back is that one, and no more
		expect_eq "$code" 0 "$command: exit code"
		expect_match "$out" "generation $n is taken back: generation [0-9]+ is live"
		expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
		;;
	status | history | plan* | explain* | conns | "apply --boot" | *dry-run)
		expect_eq "$code" 0 "$command: exit code"
		expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
		;;
	doctor) expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000 ;;
	confirm)
		expect_eq "$code" 1 "$command: exit code"
		expect_match "$err" "generation $n was taken back"
		expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
		;;
	apply*) expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000 ;;
	down)
		expect_eq "$code" 0 "$command: exit code"
		expect_no_table
		;;
	esac
	expect_exit 0 spctl status
done

# Stopped, not dead: it holds its lock, but not the work.
apply old
expect_exit 0 spctl apply "$T/new.json" --confirm "$soon"
n=$(spctl history --json | jq '.history[0].generation')
pid=$(timer)
kill -STOP "$pid"
eventually overdue "$n"
expect_exit 0 spctl status
expect_match "$err" "generation $n was not confirmed in time"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
kill -CONT "$pid"
eventually no_timer
expect_exit 0 spctl status

# RUN is lost: nothing is done twice.
expect_exit 0 spctl apply "$T/new.json" --confirm $((soon + 2))
rm -rf "$T/run"
expect_exit 1 spctl status
eventually no_timer
expect_exit 0 spctl status
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# The files of all that could come back are lost: said, tried again, and confirm keeps what is there.
live=$(spctl status --json | jq .generation)
expect_exit 0 spctl apply "$T/new.json" --confirm "$soon"
n=$(jq -s 'map(.generation) | max' "$T"/state/applied/*.json)
mkdir "$T/kept"
find "$T/state/applied" -name '*.config' ! -name "$n.config" -exec mv -t "$T/kept" {} +
eventually overdue "$n"
expect_exit 1 spctl status
expect_match "$err" "error: generation $n .*generation $live cannot be brought back: generation $live is not kept"
expect_match "$out" 'its time is over'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
mv "$T"/kept/* "$T/state/applied"
back() { [[ $(probe tcp 10.10.0.1:9000) == A* ]]; }
eventually back
eventually no_timer
expect_exit 0 spctl apply "$T/new.json" --confirm "$soon"
n=$((n + 1))
find "$T/state/applied" -name '*.config' ! -name "$n.config" -delete
eventually overdue "$n"
expect_exit 0 spctl confirm
expect_match "$out" "generation $n is confirmed"
expect_exit 0 spctl status
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually no_timer

# The file that says that it waits is damaged: that is no confirmation. The timer remembers.
live=$(spctl status --json | jq .generation)
expect_exit 0 spctl apply "$T/old.json" --confirm $((soon + 2))
n=$((n + 1))
head -c 100 "$T/state/applied/$n.json" >"$T/half"
sleeps() { grep -q 'it_value: ([1-9]' "/proc/$(timer)"/fdinfo/*; }
eventually sleeps # it has read the file
cp "$T/half" "$T/state/applied/$n.json"
expect_exit 1 spctl status
b_serves() { [[ $(probe tcp 10.10.0.1:9000) == B* ]]; }
eventually b_serves
eventually no_timer
expect_exit 0 spctl status
expect_match "$out" "^generation $live,"

# Somebody who looks whether a timer runs, just when it is to be started, is no timer.
apply old
eventually no_timer
lab_start gw "$T/look.log" flock -s "$T/state/timer" sh -c 'echo held; exec sleep 1'
eventually grep -q held "$T/look.log"
expect_exit 0 spctl apply "$T/new.json" --confirm $((3 * STRETCH))
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
answers_a() { [[ $(probe tcp 10.10.0.1:9000) == 'A|10.20.0.1|hi' ]]; }
eventually answers_a
# Nor does he keep a command waiting that does not wait.
lab_start gw "$T/look2.log" flock -s "$T/state/lock" sh -c 'echo held; exec sleep 1'
eventually grep -q held "$T/look2.log"
expect_exit 0 spctl apply "$T/new.json" --timeout 0
