#!/bin/bash
# --drain, of apply and of down: connections get their time, and no more than that; Ctrl-C ends the
# waiting, not the command.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
to() { # HOST
	printf '{"routes":[{"name":"r","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.%s","port":7000}]}},
	{"name":"stay","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}' "$1"
}
to 2 >"$T/a.json"
to 3 >"$T/b.json"
says() { grep -q "$1" "$T/drain.log"; }
ended() { ! kill -0 "$1" 2>/dev/null; }

apply a
hold stay cl tcp 10.10.0.1:9001

# They end by themselves: so does the wait.
hold t cl tcp 10.10.0.1:9000
lab_start gw "$T/drain.log" "$SPCTL" apply "$T/b.json" --drain 3600
pid=$lab_pid
eventually says 'draining: 1 connection, 3[56][0-9][0-9] s left'
# The routes are true already, the old connection goes on.
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_hold t 'A|10.20.0.1|x' x
kill -0 "$pid" || fail 'apply did not wait'
hold_close t
eventually ended "$pid"
wait "$pid" || fail "apply --drain: exit $?"
expect_match "$(cat "$T/drain.log")" 'ended: 0 connections'

# They do not: the time is up. UDP has its time, too.
hold t cl tcp 10.10.0.1:9000
hold u cl udp 10.10.0.1:9000 -w 300
expect_hold u 'B|10.20.0.1|x' x
start=$SECONDS
lab_start gw "$T/drain.log" "$SPCTL" apply "$T/a.json" --drain 3
pid=$lab_pid
eventually says 'draining: 2 connections'
expect_hold u 'B|10.20.0.1|y' y
expect_hold t 'B|10.20.0.1|y' y
eventually ended "$pid"
((SECONDS - start >= 2)) || fail "over after $((SECONDS - start)) s"
expect_match "$(cat "$T/drain.log")" 'ended: 2 connections'
hold_say t x
expect_eq "$answer" reset 'after the time'
expect_hold u 'A|10.20.0.1|x' x
hold_close t
hold_close u

# (The kernel keeps a UDP flow for half a minute after its last packet: one more is counted from here on.)
# Ctrl-C: not the apply is ended, but the waiting.
hold t cl tcp 10.10.0.1:9000
lab_start gw "$T/drain.log" "$SPCTL" apply "$T/b.json" --drain 3600
pid=$lab_pid
eventually says draining
# A shell's background jobs ignore SIGINT until the program catches it: it does by now.
kill -INT "$pid"
eventually ended "$pid"
wait "$pid" || fail "apply --drain after Ctrl-C: exit $?"
expect_match "$(cat "$T/drain.log")" 'not waiting any longer: [12] connections? (is|are) ended now'
expect_match "$(cat "$T/drain.log")" 'ended: [12] connections? '
hold_say t x
expect_eq "$answer" reset 'after Ctrl-C'
hold_close t
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status

# --drain 0 is --kill; who has nothing to wait for does not wait.
hold t cl tcp 10.10.0.1:9000
expect_exit 0 spctl apply "$T/a.json" --drain 0
expect_match "$out" 'ended: [12] connections? '
hold_close t
start=$SECONDS
expect_exit 0 spctl apply "$T/b.json" --drain 3600
((SECONDS - start < 5 * STRETCH)) || fail 'waited for nobody'
expect_hold stay 'A|10.20.0.1|x' x

before=$(spctl status --json | jq .generation)
expect_exit 2 spctl apply "$T/a.json" --drain 5 --confirm 60
expect_match "$err" '--drain and --confirm'
expect_eq "$(spctl status --json | jq .generation)" "$before" 'generation after the refused apply'

# down
hold t cl tcp 10.10.0.1:9000
lab_start gw "$T/drain.log" "$SPCTL" down --drain 3600
pid=$lab_pid
eventually says 'draining: [23] connections'
expect_refused tcp 10.10.0.1:9000
expect_hold t 'B|10.20.0.1|x' x
kill -TERM "$pid"
eventually ended "$pid"
wait "$pid" || fail "down --drain: exit $?"
hold_say t x
expect_eq "$answer" reset 'after down'
expect_no_table
