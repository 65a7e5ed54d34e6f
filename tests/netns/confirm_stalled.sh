#!/bin/bash
# Nobody reads what apply --confirm, rollback and confirm say (a terminal stopped with Ctrl-S, a dead
# pager): the lock is given back all the same, so the old routes come back in time, and confirm works.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
answers() { [[ $(probe tcp 10.10.0.1:9000) == "$1" ]]; }
mkfifo "$T/full"
exec {full}<>"$T/full"
dd if=/dev/zero of="$T/full" bs=4096 count=1024 oflag=nonblock 2>/dev/null || :
# stalled ARG...: everything it says goes to the full pipe; $job waits for it.
stalled() {
	nsenter --net=/run/netns/gw -- "$SPCTL" "$@" >"$T/full" 2>&1 &
	job=$!
	LAB_PIDS+=("$job")
}
is_stalled() { [[ $(cat "/proc/$job/wchan") == *pipe* ]]; }
# Its words are read at last; it ends well.
read_on() {
	local reader
	cat <&"$full" >"$T/read" &
	reader=$!
	LAB_PIDS+=("$reader")
	code=0
	wait "$job" || code=$?
	echo all-is-read >&"$full"
	eventually grep -aq all-is-read "$T/read"
	kill "$reader"
	wait "$reader" || :
	tr -d '\0' <"$T/read" >"$T/said"
	expect_eq "$code" "${1-0}" 'the stalled command'
	dd if=/dev/zero of="$T/full" bs=4096 count=1024 oflag=nonblock 2>/dev/null || :
}
apply old

# The deadline passes while apply stalls.
stalled apply "$T/new.json" --confirm $((2 * STRETCH)) -v
eventually answers 'B|10.20.0.1|hi'
is_stalled || fail 'apply did not stall: nothing is tested'
eventually answers 'A|10.20.0.1|hi'
expect_exit 0 spctl status
is_stalled || fail 'apply did not stall all the time'
read_on
expect_match "$(<"$T/said")" 'generation 2 waits for confirmation'

# It is confirmed while apply stalls, and confirm stalls, too.
stalled apply "$T/new.json" --confirm 60 -v
eventually answers 'B|10.20.0.1|hi'
eventually is_stalled
expect_exit 0 spctl confirm --timeout 2
expect_match "$out" 'generation 3 is confirmed'
read_on

# rollback, and taking back what waits.
stalled rollback 1 -v
eventually answers 'A|10.20.0.1|hi'
eventually is_stalled
expect_exit 0 spctl apply "$T/new.json" --confirm 60 --timeout 2
read_on
stalled rollback -v
eventually answers 'A|10.20.0.1|hi'
eventually is_stalled
expect_exit 0 spctl apply "$T/new.json" --confirm 60 --timeout 2
read_on
# What is refused, too.
n=$(spctl history --json | jq '.history[0].generation')
stalled rollback "$n"
eventually is_stalled
expect_exit 1 spctl apply "$T/old.json" --timeout 2
expect_match "$err" "generation $n waits for confirmation"
read_on 1
stalled confirm
eventually is_stalled
expect_exit 0 spctl down --timeout 2
read_on

# A name server that does not answer: the apply that asks it keeps nobody waiting.
printf 'nameserver 10.20.0.99\noptions timeout:%d attempts:1\n' $((8 * STRETCH)) >"$T/resolv"
mount --bind "$T/resolv" /etc/resolv.conf
# Nobody has the address; without this, that is found out after three seconds.
gw ip neigh replace 10.20.0.99 lladdr 02:00:00:00:00:99 dev srv nud permanent
sed 's/10\.20\.0\.2/nobody.test/' "$T/old.json" >"$T/named.json"
apply old
expect_exit 0 spctl apply "$T/new.json" --confirm $((2 * STRETCH))
nsenter --net=/run/netns/gw -- "$SPCTL" apply "$T/named.json" --confirm 60 >"$T/said" 2>&1 &
job=$!
LAB_PIDS+=("$job")
asks() { [[ $(gw ss -Hun dst 10.20.0.99) ]]; }
eventually asks
eventually answers 'A|10.20.0.1|hi'
expect_exit 0 spctl apply "$T/new.json" --confirm 60 --timeout 1
expect_exit 0 spctl confirm --timeout 1
asks || fail 'it does not ask any more: nothing is tested'
wait "$job" || :
expect_match "$(<"$T/said")" 'nobody\.test'

# Ctrl-Z does not stop a process that has the lock. (Asked of its mask: in the process group of a test, which is
# an orphan, nobody is stopped by it.)
ignores() { # PID SIGNAL
	local set
	set=$(sed -n 's/^SigIgn:[[:space:]]*//p' "/proc/$1/status")
	((16#$set >> ($2 - 1) & 1))
}
apply old
hold kept cl tcp 10.10.0.1:9000
nsenter --net=/run/netns/gw -- "$SPCTL" down --drain 60 >"$T/said" 2>&1 &
job=$!
LAB_PIDS+=("$job")
has_lock() { [[ $(<"$T/state/lock") == "$job" ]]; }
eventually has_lock
eventually ignores "$job" 20
ignores "$job" 22 || fail 'SIGTTOU stops it'
hold_close kept
wait "$job"
