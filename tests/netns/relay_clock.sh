#!/bin/bash
# No deadline depends on the clock that can be set: what the dataplane is made of asks for the wall clock only where a
# record is dated. (A jump itself needs a machine whose clock is ours to set.)
. "${0%/*}/lib.sh"
lab_up
found=$(cd "$ROOT/dataplane" && grep -lE 'CLOCK_REALTIME|clock_wall|gettimeofday|[^_a-z]time\((NULL|0|&)' ./*.c | sort | paste -sd' ')
expect_match "$found" '^(\./(access_log|conn_record|conn)\.c ?)*$' 'who asks for the wall clock'
skip 'the clock of this machine is not set: only the sources were looked at'
