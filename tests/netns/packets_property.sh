#!/bin/bash
# Random routes, real packets: the kernel answers random connections as the plan says.
# SEED=N repeats a run, ROUNDS=N is a number of files, PACKETS_SECONDS=N a time (default 15).
. "${0%/*}/lib.sh"
. "${0%/*}/packets_lib.bash"
packets_lab_up
run packets_property "$SPCTL"
[[ $code == 0 ]] || fail "packets_property: exit $code (see its output below)"
echo "$out"
expect_match "$out" '; 0 wrong$'
# A few files may lack something; all of a run do not.
if [[ ! ${ROUNDS-} ]]; then
	for what in led refused 'to the gateway itself'; do
		expect_match "$out" " [1-9][0-9]* $what"
	done
fi
expect_exit 0 spctl down
