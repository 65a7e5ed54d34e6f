#!/bin/bash
# RUN/control.sock: who may ask, and what becomes of a generation that is prepared.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

# There is one, and it says so.
service_start --workers 2
expect_eq "$(stat -c %a "$RUN/control.sock")" 600
expect_eq "$(stat -c %a "$RUN/dataplane.1.sock")" 600
expect_json "$(ask '{"type":"hello"}')" ".pid == $(cat "$RUN/run.pid") and .protocol == 1"
expect_exit 1 spctl run
expect_match "$err" "runs already in .* \(pid $(cat "$RUN/run.pid")\)"

# Not for others: neither by the file's mode nor, should that be changed, by who they are.
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$ASK" "$RUN/control.sock" 2>&1 || :; }
expect_eq "$(nobody <<<'{"type":"hello"}')" 'connect: Permission denied'
chmod 777 "$T" "$RUN" "$RUN/control.sock"
expect_eq "$(nobody <<<'{"type":"hello"}')" closed
chmod 700 "$RUN"

# Who stops in the middle of a message, or never reads, holds up nobody.
"$ASK" --half "$RUN/control.sock" &
LAB_PIDS+=($!)
"$ASK" --stall "$RUN/control.sock" >/dev/null &
LAB_PIDS+=($!)
expect_json "$(ask '{"type":"hello"}')" '.type == "hello"'

# What it does not know is an answer, what is no message is the end.
expect_json "$(ask '{"type":"dance"}')" '.type == "failed" and .request == "dance"'
expect_eq "$(ask 'dance')" closed
expect_json "$(ask '{"type":"commit","generation":1}')" '.message == "generation 1 is not prepared"'
expect_json "$(ask '{"type":"prepare","generation":1}')" '.type == "failed"'

# Prepared is not served; committed is.
service_apply 1 8000 10.20.0.2:7000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_json "$(service_status)" '.state == "ready" and .generation == 1 and .listeners == 2'
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one

# Aborted: nothing of it stays, and the port is free again.
got=$(ask "$(prepare 2 8001 10.20.0.3:7000)" '{"type":"abort","generation":2}')
expect_match "$got" '"prepared".*"aborted"'
expect_refused tcp 10.10.0.1:8001
expect_json "$(service_status)" '.generation == 1 and .listeners == 2'

# What the dataplane cannot read is said by it, and changes nothing.
got=$(ask "$(prepare 3 8002 10.20.0.3:7000 | jq -c '.load.routes[0].targets[0].kind = "moon"')")
expect_json "$got" '.type == "failed" and .request == "prepare" and (.message | startswith("the dataplane cannot serve it: "))'
expect_refused tcp 10.10.0.1:8002

# A port that somebody has is told with his name.
gw "$LAB_TOOLS/echod" X -t '*:8003' >/dev/null &
LAB_PIDS+=($!)
eventually gw sh -c 'ss -Htln | grep -q :8003'
expect_json "$(ask "$(prepare 3 8003 10.20.0.3:7000)")" \
	'.code == -98 and (.message | test("cannot listen on \\*:8003: echod\\[[0-9]+\\] listens on"))'

# Two commands do not mix.
coproc FIRST { "$ASK" "$RUN/control.sock"; }
first=$FIRST_PID
prepare 4 8004 10.20.0.3:7000 >&"${FIRST[1]}"
read -r -t 10 line <&"${FIRST[0]}"
expect_match "$line" prepared
expect_json "$(ask "$(prepare 5 8005 10.20.0.3:7000)")" '.message == "generation 4 is being prepared by another command"'

# One that ends in between: the kernel has no generation 4, so it is dropped.
kill -9 "$first"
eventually grep -q 'generation 4 is dropped' "$T/service.log"
expect_refused tcp 10.10.0.1:8004

# The same where the kernel has it: then it is served.
config kernel <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
apply kernel
generation=$(spctl status --json | jq .generation)
coproc SECOND { "$ASK" "$RUN/control.sock"; }
second=$SECOND_PID
prepare "$generation" 8006 10.20.0.3:7000 >&"${SECOND[1]}"
read -r -t 10 line <&"${SECOND[0]}"
expect_match "$line" prepared
kill -9 "$second"
eventually grep -q "generation $generation is in the kernel" "$T/service.log"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:8006
eventually expect_no_listener 8000

# The connection of before is still there, through all of it.
expect_hold kept 'A|10.20.0.1|two' two
expect_json "$(ask '{"type":"status"}' | head -n 1)" '.process.connections == 1'
expect_json "$(ask '{"type":"conns"}' | jq -s '[.[].conns[]] | {n: length, client: .[0].client}')" \
	'.n == 1 and .client == "10.10.0.2"'
hold_close kept

# The end: nothing is left.
ask '{"type":"stop"}' >/dev/null
eventually test ! -e "$RUN/control.sock"
wait "$SERVICE"
expect_eq "$(pgrep -c spctl || :)" 0
expect_eq "$(ls "$RUN"/*.sock "$RUN"/run.pid 2>/dev/null || :)" ''
