#!/bin/bash
# The keys of the service itself: workers, gracefulShutdownTimeout, log.*.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config base <<'EOF'
{"workers":3,"gracefulShutdownTimeout":60000,"routes":[{"name":"r","match":{"ports":9000},
 "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF

# As many from the first apply on, none of them ever refused anybody; and a socket for each.
apply base
expect_eq "$(plane_process .workers) $(plane_service '"\(.workers) \(.restarts)"')" '3 3 0'
expect_eq "$(gw ss -Htln 'sport = :9000' | wc -l)" 3
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_eq "$(plane_log | grep -c 'dataplane ended' || :)" 0
# A running one keeps them, says so, and has the new number after the next reload, without a refusal.
jq '.workers = 1' "$T/base.json" | config one
apply one
expect_match "$err" 'goes on with 3 workers; it has 1 after the next reload'
expect_eq "$(plane_process .workers)" 3
kill -USR2 "$(controller_pid)"
has_one() { [[ $(plane_process .workers) == 1 ]]; }
eventually has_one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
apply one
expect_no_match "$err" 'workers'

# Who is connected has so long to end when the service is told to: as the last apply said.
pid=$(controller_pid)
hold stays cl tcp 10.10.0.1:9000
kill -TERM "$pid"
eventually grep -q 'connections have 60 s to end' "$SPCTL_RUN_DIR/service.log"
expect_refused tcp 10.10.0.1:9000
expect_hold stays 'A|10.20.0.1|still' still
hold_close stays
is_gone() { ! kill -0 "$1"; }
eventually is_gone "$pid"
for ms in 500 0; do
	jq ".gracefulShutdownTimeout = $ms" "$T/base.json" | config short
	apply short
	pid=$(controller_pid)
	hold ends cl tcp 10.10.0.1:9000
	kill -TERM "$pid"
	eventually is_gone "$pid"
	hold_say ends gone
	expect_match "$answer" '^(reset|closed|gone|silent)$' "after $ms ms"
	hold_close ends
done

# The log: no access lines unless asked for; level; format.
lines() { grep -c "$1" "$SPCTL_RUN_DIR/service.log" || :; }
has_lines() { (($(lines "$1") > 0)); }
apply base
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
jq '.log = {access: true}' "$T/base.json" | config access
apply access
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually has_lines ' route=r '
expect_eq "$(lines ' route=r ')" 1
jq '.log = {access: true, format: "json"}' "$T/base.json" | config json
apply json
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually has_lines '"route": *"r"'
expect_json "$(grep '"route"' "$SPCTL_RUN_DIR/service.log" | tail -n 1)" '.route == "r"'
# SIGHUP is answered at level info.
kill -HUP "$(controller_pid)"
eventually has_lines 'there is nothing to read again'
before=$(lines 'there is nothing to read again')
jq '.log = {level: "error"}' "$T/base.json" | config quiet
apply quiet
kill -HUP "$(controller_pid)"
# It has been heard: signals are taken in order, and the next one ends the service.
pid=$(controller_pid)
kill -TERM "$pid"
eventually is_gone "$pid"
expect_eq "$(lines 'there is nothing to read again')" "$before"
expect_exit 0 spctl down
