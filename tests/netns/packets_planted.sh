#!/bin/bash
# The property test with packets finds a planted bug, each of them within its default time.
. "${0%/*}/lib.sh"
. "${0%/*}/packets_lib.bash"
packets_lab_up
export SEED=${SEED:-42}
for file in "$ROOT"/tests/planted/*.c; do
	bug=$(basename "$file" .c)
	[[ -x $O/tests/planted/$bug ]] || fail "no $O/tests/planted/$bug: run make tools"
	run packets_property "$O/tests/planted/$bug"
	echo "$bug: $(tail -n 1 <<<"$out")"
	[[ $code == 1 ]] || fail "the planted bug $bug was not found: exit $code"
	# By packets, not by an apply that failed or a program that cannot be run.
	expect_match "$out" 'packets: '
	expect_no_match "$out" 'spctl apply: exit'
	expect_exit 0 spctl down
done
