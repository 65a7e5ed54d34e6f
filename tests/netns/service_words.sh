#!/bin/bash
# What a dataplane may write: nothing to any file unless the route file asks for access lines, and then
# no more than 64 MiB; what it says for people comes through a pipe, and is why it ended.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
if grep -qaE '__(asan|tsan)_init' "$SPCTL"; then
	skip 'a build with sanitizers writes its reports itself'
fi
lab_up
serve a A -t '*:7000'
LOG=$RUN/service.log

with() { # LOG-OBJECT
	apply_config <<-END
		{"log":$1,"routes":[{"name":"web","match":{"ports":8000},"action":{"type":"forward",
		 "forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	END
}
# What it could write to, apart from sockets, pipes and memory.
files() { find "/proc/$(dataplane_pid)/fd" -lname '/*' ! -lname '/dev/null' ! -lname '/memfd:*' -printf '%l\n' | sort -u; }
with '{}'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_eq "$(files)" "$RUN/dataplane.lock" 'files of the dataplane'
expect_match "$(cat "/proc/$(dataplane_pid)/fdinfo/6")" $'flags:\t0[0-9]*0\n' 'the lock is for reading'
expect_match "$(readlink "/proc/$(dataplane_pid)/fd/2")" '^pipe:' 'its standard error'
expect_match "$(cat "/proc/$(dataplane_pid)/limits")" 'Max file size +67108864 +67108864'
# Asked for, in the service that runs; and for a dataplane that is started with it.
with '{"access":true}'
expect_eq "$(files)" "$(printf '%s\n' "$RUN/dataplane.lock" "$LOG")" 'files with access lines'
probe tcp 10.10.0.1:8000 >/dev/null
eventually grep -q ' route=web ' "$LOG"
dataplane=$(dataplane_pid)
kill -KILL "$dataplane"
is_back() { grep -q 'the dataplane is back' "$LOG"; }
eventually is_back
expect_eq "$(files)" "$(printf '%s\n' "$RUN/dataplane.lock" "$LOG")" 'files with access lines'
: >"$LOG"
probe tcp 10.10.0.1:8000 >/dev/null
eventually grep -q ' route=web ' "$LOG"
# A file that is as large as it may be: lines are lost and counted, and nothing else happens.
truncate -s 64M "$LOG" # (the controller cuts it within a second)
dataplane=$(dataplane_pid)
lost() { probe tcp 10.10.0.1:8000 >/dev/null; truncate -s 64M "$LOG"; [[ $(ask '{"type":"status"}' | head -n 1 | jq .process.accessLinesLost) -gt 0 ]]; }
eventually lost
expect_eq "$(dataplane_pid)" "$dataplane" 'the dataplane'
is_cut() { (($(stat -c %s "$LOG") < 100000)); }
eventually is_cut
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
# Nothing of it is left behind.
expect_exit 0 spctl down
expect_eq "$(find "$RUN" -name 'service*' -o -name 'run*' ! -name run -o -name 'dataplane*' -o -name 'control*')" '' 'files of the service after down'

# Why it ended, in its own words, is in the log and in status.
service_launch --user nosuchuser
eventually grep -q 'the dataplane ended (/etc/passwd has no user "nosuchuser"; exit code 1)' "$T/service.log"
expect_json "$(service_status)" '.ends >= 1 and .lastEnd == "/etc/passwd has no user \"nosuchuser\"; exit code 1"'
