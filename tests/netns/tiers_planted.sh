#!/bin/bash
# The property test of the tiers finds a planted bug, each of them within seconds.
. "${0%/*}/lib.sh"
. "${0%/*}/packets_lib.bash"
packets_lab_up
export SEED=${SEED:-42} PACKETS_SECONDS=${PACKETS_SECONDS:-40}
for file in "$ROOT"/tests/planted_tiers/*.c; do
	bug=$(basename "$file" .c)
	[[ -x $O/tests/planted_tiers/$bug ]] || fail "no $O/tests/planted_tiers/$bug: run make tools"
	start=$SECONDS
	run tiers_property "$O/tests/planted_tiers/$bug"
	echo "$bug: $((SECONDS - start)) s: $(tail -n 1 <<<"$out")"
	[[ $code == 1 ]] || fail "the planted bug $bug was not found: exit $code"
	# By what connections show, not by an apply that failed or a program that cannot be run.
	expect_match "$out" 'packets: |due'
	expect_no_match "$out" 'spctl (apply|down): exit'
	run spctl down
done
