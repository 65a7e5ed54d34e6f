#!/bin/bash
# A controller that hangs holds up nobody: what was not confirmed is taken back in the kernel without
# it, and it is replaced; connections go on.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
both() { # NAME LAST-BYTE: a relay and a kernel route to 10.20.0.LAST-BYTE
	config "$1" <<-END
		{"routes":[{"name":"web","match":{"ports":8000},"action":{"type":"forward",
		    "forwardingEngine":"relay","targets":[{"host":"10.20.0.$2","port":7000}]}},
		  {"name":"k","match":{"ports":9000},"action":{"type":"forward",
		    "targets":[{"host":"10.20.0.$2","port":7000}]}}]}
	END
}
both old 2
both new 3
config kernel <<'EOF2'
{"routes":[{"name":"k","match":{"ports":9000},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF2
answers() { [[ $(probe tcp "10.10.0.1:$1" -w 3000) == "$2|10.20.0.1|hi" ]]; }
stop_controller() { controller=$(cat "$RUN/run.pid") && kill -STOP "$controller"; }
state_of() { sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || :; }

# The deadline of --confirm: the kernel has its routes again while the controller hangs.
apply old
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one
apply new --confirm 2
stop_controller
eventually answers 9000 A
expect_eq "$(state_of "$controller")" T 'the controller, when the kernel routes are back'
EVENTUALLY=25 eventually answers 8000 A
expect_no_match "$(state_of "$controller")" T
expect_hold kept 'A|10.20.0.1|two' two
expect_exit 0 spctl status
expect_match "$(spctl history --json | jq -c '[.history[]|select(.live).generation]')" '^\[1\]$'

# rollback of what waits, the same.
apply new --confirm 600
stop_controller
expect_exit 0 spctl rollback
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|three' three

# An apply that needs the service: it has another one.
stop_controller
expect_exit 0 spctl apply "$T/new.json"
expect_match "$err" 'the service does not answer in time: it is killed, and another one takes over'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|four' four

# One that does not.
stop_controller
expect_exit 0 spctl apply "$T/kernel.json" --no-daemon
expect_match "$err" "the service does not answer in time: the kernel's routes do not wait for it"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually expect_no_listener 8000 # when the other one is ready
expect_hold kept 'A|10.20.0.1|five' five
hold_close kept
