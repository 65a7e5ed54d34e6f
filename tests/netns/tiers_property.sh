#!/bin/bash
# Equal answers in every tier: random routes served by the kernel, by the relay and by both, real packets.
# SEED=N repeats a run, ROUNDS=N is a number of files, PACKETS_SECONDS=N a time (default 15).
. "${0%/*}/lib.sh"
. "${0%/*}/packets_lib.bash"
packets_lab_up
run tiers_property "$SPCTL"
[[ $code == 0 ]] || fail "tiers_property: exit $code (see its output above)"
echo "$out"
expect_match "$out" '; 0 wrong$'
# A few files may lack something; all of a run do not.
if [[ ! ${ROUNDS-} ]]; then
	for what in 'served by the kernel' relayed refused 'of no route' 'of them with limits'; do
		expect_match "$out" " [1-9][0-9]* $what"
	done
fi
expect_exit 0 spctl down
