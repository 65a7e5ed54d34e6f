#!/bin/bash
# apply starts the service where a route needs it, and asks the one that runs; what one of them leaves
# behind when it is killed, the next command finds.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

relay() { # PORT HOST
	config_relay routes "$@"
	apply routes
}
runs() { kill -0 "$(cat "$RUN/run.pid")"; }

relay 8000 10.20.0.2
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
eventually runs
first=$(cat "$RUN/run.pid")
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one

# Another target, then another port: the connection of before stays, the old port is closed.
relay 8000 10.20.0.3
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:8000
relay 8001 10.20.0.3
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:8001
eventually expect_no_listener 8000
expect_refused tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|two' two
expect_eq "$(cat "$RUN/run.pid")" "$first" 'the service'

# A controller that is killed: apply starts another, which takes over.
kill -9 "$first"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:8001
relay 8001 10.20.0.2
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8001
[[ $(cat "$RUN/run.pid") != "$first" ]] || fail 'no other service'
expect_match "$(cat "$RUN/service.log")" 'took 2 listening sockets over|took [0-9]+ listening sockets over'
expect_hold kept 'A|10.20.0.1|three' three

# A port that somebody else has: nothing is changed, and he is named.
gw "$LAB_TOOLS/echod" X -t '*:8002' >/dev/null &
LAB_PIDS+=($!)
eventually gw sh -c 'ss -Htln | grep -q :8002'
config_relay routes 8002
expect_exit 1 spctl apply "$T/routes.json"
expect_match "$err" 'cannot listen on \*:8002: echod\[[0-9]+\] listens on'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8001

hold_close kept
expect_exit 0 spctl down
expect_refused tcp 10.10.0.1:8001
gone() { [[ $(pgrep -c spctl || :) == 0 ]]; }
eventually gone

# In the foreground with a file: it is applied first of all, once.
config_relay first 8010
service_start "$T/first.json"
serves() { [[ $(probe tcp "10.10.0.1:$1") == 'A|10.20.0.1|hi' ]]; }
eventually serves 8010
# A new binary takes over what is live, not what the file says by now.
config_relay first 8011
: >"$T/service.log"
upgrades() { grep -q 'takes over' "$T/service.log" || { kill -USR2 "$SERVICE" && false; }; }
eventually upgrades
eventually grep -q 'service is ready' "$T/service.log"
serves 8010 || fail 'what was live is served no more'
expect_refused tcp 10.10.0.1:8011
kill -TERM "$SERVICE"
wait "$SERVICE"
expect_exit 0 spctl down

# A file with an error: the service ends with the exit code that apply has.
echo '{' >"$T/first.json"
service_launch "$T/first.json"
code=0
wait "$SERVICE" || code=$?
expect_eq "$code" 2
