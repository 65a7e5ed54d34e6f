#!/bin/bash
# Dataplanes of reloads before that drain still: each is told to end when the service ends, whoever
# its controller is by then; one that hangs is killed, and is in nobody's way.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config_relay relay 8000
planes() { pgrep -cx spctl-dataplane || :; } # a process namespace of our own
has_planes() { [[ $(planes) == "$1" ]]; }
serves_with() { [[ $(dataplane_pid) != "$1" && $(service_status | jq -r .state) == ready ]]; }
reload() {
	local was
	was=$(dataplane_pid)
	kill -USR2 "$(cat "$RUN/run.pid")"
	eventually serves_with "$was"
}
sockets() { find "$RUN" -name 'dataplane.*.sock*' | wc -l; }
expect_nothing_left() {
	expect_eq "$(planes)" 0 'dataplanes'
	expect_eq "$(sockets)" 0 'their sockets'
	expect_no_table
	expect_refused tcp 10.10.0.1:8000
}

# Two reloads, each with a connection that stays.
apply relay
hold first cl tcp 10.10.0.1:8000
expect_hold first 'A|10.20.0.1|one' one
reload
hold second cl tcp 10.10.0.1:8000
expect_hold second 'A|10.20.0.1|one' one
reload
expect_json "$(service_status)" '.draining == 2'
expect_hold first 'A|10.20.0.1|two' two
expect_hold second 'A|10.20.0.1|two' two

# One has nothing left to do: it ends, the other goes on.
hold_close second
eventually has_planes 2
expect_json "$(service_status)" '.draining == 1'

# A crash of the controller, and another one: it finds both.
kill -9 "$(cat "$RUN/run.pid")"
expect_hold first 'A|10.20.0.1|three' three
apply relay
expect_match "$(cat "$RUN/service.log")" 'took [0-9]+ listening sockets over from 2 former dataplanes'
expect_hold first 'A|10.20.0.1|four' four
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_exit 0 spctl down
expect_nothing_left
hold_say first gone
expect_no_match "$answer" 'A\|'
hold_close first

# The oldest one hangs: down ends it, too.
apply relay
hold first cl tcp 10.10.0.1:8000
expect_hold first 'A|10.20.0.1|one' one
stopped=$(dataplane_pid)
reload
kill -STOP "$stopped"
expect_exit 0 spctl down
expect_nothing_left
hold_close first

# Two that hang, and no controller: the next one kills both; apply has whom to ask meanwhile.
apply relay
hold first cl tcp 10.10.0.1:8000
expect_hold first 'A|10.20.0.1|one' one
first=$(dataplane_pid)
reload
kill -9 "$(cat "$RUN/run.pid")"
pkill -STOP -x spctl-dataplane
[[ -e /proc/$first ]] || fail 'the first dataplane is gone'
rm -f "$RUN/control.sock"
spctl apply "$T/relay.json" >"$T/applied" &
applying=$!
LAB_PIDS+=("$applying")
eventually test -S "$RUN/control.sock" # who asks now waits for the answer, not for a name
expect_no_match "$(cat "$RUN/service.log")" 'does not hand over'
wait "$applying"
expect_match "$(cat "$RUN/service.log")" \
	"former dataplane \\(pid $first\\) does not hand over within [0-9]+ s: it is killed"
eventually has_planes 1
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_exit 0 spctl status
expect_exit 0 spctl down
expect_nothing_left
hold_close first
