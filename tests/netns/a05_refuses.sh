#!/bin/bash
# A5: a target that refuses. Pitfalls 4 (the error of a connect is read, and ends both sides) and 24.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
config dead <<'E'
{"routes":[{"name":"dead","match":{"ports":9300},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":1}]}}]}
E
jq '.routes[0].action.forwardingEngine = "relay"' "$T/dead.json" | config dead_relay

# refused_soon: within a second, and never a time-out.
refused_soon() {
	local from=$EPOCHREALTIME got took
	got=$(probe tcp 10.10.0.1:9300 -w $((5000 * STRETCH)))
	took=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d", (b - a) * 1000 }')
	expect_match "$got" '^(refused|reset|closed)$'
	is_slow || ((took < 1000)) || fail "it took $took ms"
}

# As it is written, in the kernel: the target's own answer comes back.
apply dead
for _ in {1..5}; do
	refused_soon
done

# In user space.
apply dead_relay
refused_soon
expect_idle
controller=$(controller_pid) pid=$(plane_pid) fds=$(plane_fds)
for _ in {2..20}; do
	refused_soon
	sleep 0.05 # as the scenario says
done
expect_idle
expect_eq "$(plane_routes '.[0].total')" 20
expect_eq "$(refusals connect_failed)" 20
expect_eq "$(plane_routes '.[0].targets[0].failed')" 20
expect_eq "$(plane_fds)" "$fds" 'open files'
expect_eq "$(controller_pid) $(plane_pid)" "$controller $pid" 'the same processes'

# It is served again as soon as it is there, though it was put aside for having failed.
serve a A -t '*:1'
answers() { [[ $(probe tcp 10.10.0.1:9300) == 'A|10.20.0.1|hi' ]]; }
eventually answers
expect_exit 0 spctl down
