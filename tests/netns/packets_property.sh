#!/bin/bash
# Random routes, real packets: the kernel answers random connections as the plan says.
# SEED=N repeats a run, ROUNDS=N is a number of files, PACKETS_SECONDS=N a time (default 15).
. "${0%/*}/lib.sh"
. "${0%/*}/packets_lib.bash"
packets_lab_up
run packets_property "$SPCTL"
[[ $code == 0 ]] || fail "packets_property: exit $code (see its output below)"
echo "$out"
expect_match "$out" ' [1-9][0-9]* led, [1-9][0-9]* refused, [1-9][0-9]* to the gateway itself; 0 wrong'
expect_exit 0 spctl down
