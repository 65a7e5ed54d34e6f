#!/bin/bash
# down ends the service, also one that hangs or has not begun yet, and never ends well while something
# still serves; status tells where something is served that nobody applied.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config_relay relay 8000
expect_gone() {
	expect_refused tcp 10.10.0.1:8000
	expect_no_table
	expect_eq "$(pgrep -c 'spctl' || :)" 0 'processes'
	expect_exit 0 spctl status
	expect_match "$out" 'nothing is applied'
}

# It hangs, and so many have asked it meanwhile that nobody else gets a connection.
apply relay
kill -STOP "$(cat "$RUN/run.pid")"
for _ in {1..70}; do
	timeout 1 "$ASK" "$RUN/control.sock" </dev/null >/dev/null 2>&1 || :
done
expect_exit 0 spctl down
expect_gone

# down while it starts: a dataplane of before that hangs keeps it from answering.
apply relay
kill -9 "$(cat "$RUN/run.pid")"
pkill -STOP -x spctl-dataplane
service_launch
eventually test -S "$RUN/control.sock"
expect_exit 0 spctl down
expect_gone
wait "$SERVICE" || :

# Something that serves cannot be ended: that is no success, and nothing is forgotten.
apply relay
lab_start gw "$T/lock.log" flock -s "$RUN/dataplane.lock" sleep 1000
expect_exit 5 spctl down
expect_match "$err" 'the routes are gone, but not all the rest: the service has not ended'
expect_eq "$(cat "$SPCTL_STATE_DIR/live")" "$(spctl history --json | jq '[.history[].generation]|max')"
expect_exit 1 spctl status
lab_stop "$lab_pid"
pkill -x sleep || : # flock's
expect_exit 0 spctl down
expect_gone

# Routes that nobody applied are served: somebody has to look at that.
service_start
expect_exit 0 spctl status
service_apply 1 8000 10.20.0.2:7000
expect_exit 1 spctl status
expect_match "$out" 'ATTENTION: the service \(pid [0-9]+\) listens on \*:8000 and 0 more, although no'
expect_json "$(spctl status --json || :)" '.attention | length == 1'
kill -9 "$SERVICE"
wait "$SERVICE" || :
expect_exit 1 spctl status
expect_match "$out" 'ATTENTION: the service.s controller is gone'
expect_exit 0 spctl down
expect_gone
