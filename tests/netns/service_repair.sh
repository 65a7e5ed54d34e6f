#!/bin/bash
# A port of a live route that somebody else has: no other route goes down with it, every apply and apply --boot
# says so and fails, and it is served as soon as it is free, without an apply.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

config routes <<'EOF'
{"routes":[
 {"name":"k","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"one","match":{"ports":8000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"two","match":{"ports":8001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
apply routes
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
dead() { [[ $(pgrep -c spctl || :) == 0 ]]; }
kill_service() { # controller and dataplane at once: nobody takes anything over
	kill -9 "$(cat "$RUN/run.pid")" "$(dataplane_pid)"
	eventually dead
	: >"$RUN/service.log"
}
serves() { [[ $(probe tcp "10.10.0.1:$1") == 'A|10.20.0.1|hi' ]]; }

# ---- nobody is there: that is said, not "nothing to do"
kill_service
expect_exit 0 spctl apply "$T/routes.json"
expect_match "$out" 'started the service'
expect_no_match "$out" 'nothing to do'
serves 8000 || fail 'it was started, and serves nobody'
expect_exit 0 spctl apply "$T/routes.json"
expect_match "$out" '^nothing to do'
kill_service
expect_exit 0 spctl apply --json "$T/routes.json"
expect_json "$out" '.changed == false and .serviceStarted and (.serviceRepaired | not)'

# ---- somebody listens there
kill_service
serve gw X -t '*:8000'
other=${LAB_PIDS[-1]}
for command in 'apply --boot' "apply $T/routes.json" "apply $T/routes.json"; do
	# shellcheck disable=SC2086 # words
	expect_exit 1 spctl $command
	expect_match "$err" 'cannot listen on \*:8000: echod\[[0-9]+\] listens on'
	expect_eq "$(probe tcp 10.10.0.1:8001)" 'A|10.20.0.1|hi' "$command: the other port"
	expect_eq "$(probe tcp 10.10.0.1:9000)" 'A|10.20.0.1|hi' "$command: the kernel's port"
done
expect_exit 1 spctl status
expect_match "$out" 'DRIFT: the service does not listen on \*:8000, and tries it again \(cannot listen on \*:8000: echod'
# The kernel's part is put right all the same.
gw nft delete table inet "$TABLE"
expect_exit 5 spctl apply --boot
expect_match "$err" 'is repaired, but not the service: cannot listen on \*:8000'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

hold kept cl tcp 10.10.0.1:8001
expect_hold kept 'A|10.20.0.1|one' one
kill "$other"
eventually serves 8000
eventually grep -q 'listens on \*:8000 now' "$RUN/service.log"
expect_eq "$(grep -c 'cannot listen' "$RUN/service.log")" 1 'complaints in the log'
expect_hold kept 'A|10.20.0.1|two' two
hold_close kept
expect_exit 0 spctl status
expect_exit 0 spctl apply "$T/routes.json"
expect_match "$out" '^nothing to do'

# ---- somebody has it as one end of a connection of his own: bind() fails, nobody listens
kill_service
range=$(gw cat /proc/sys/net/ipv4/ip_local_port_range)
lab_in gw sh -c 'echo 8000 8000 >/proc/sys/net/ipv4/ip_local_port_range'
hold away gw tcp 10.20.0.2:7000
lab_in gw sh -c "echo $range >/proc/sys/net/ipv4/ip_local_port_range"
expect_eq "$(gw ss -Htn 'sport = :8000' | wc -l)" 1 'connections from port 8000'
expect_exit 1 spctl apply "$T/routes.json"
expect_match "$err" 'cannot listen on \*:8000: Address already in use'
serves 8001 || fail 'it took the other port along'
gw ss -K 'sport = :8000' >/dev/null # no TIME_WAIT
eventually serves 8000
expect_exit 0 spctl status
expect_exit 0 spctl down
