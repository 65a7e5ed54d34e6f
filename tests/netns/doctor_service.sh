#!/bin/bash
# doctor says that the service does not run although routes need it, does not answer, does not listen
# on a port and who has that, and why its dataplane ends again and again; and which ports of routes
# the host may take for itself.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config routes <<'CONFIG'
{"routes":[
 {"name":"kernel","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"low","match":{"ports":80},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"high","match":{"ports":[40000,{"from":40010,"to":40011}]},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
# says_ok REGEX: what the check says where all is well.
says_ok() {
	expect_json "$(jq -c --arg r "$1" '[.findings[] | select(.check == "service") | .level == "ok" and (.message | test($r))]' <<<"$out")" '. == [true]'
}

# Ports that a connection of this host may have: of a file, too; the others are kept in the fix.
gw sysctl -qw net.ipv4.ip_local_port_range='32768 60999' net.ipv4.ip_local_reserved_ports=4000,40011-40020
notes service 'may have port 40000,40010 \(' "$T/routes.json"
expect_eq "$(jq -r '.findings[] | select(.check == "service") | .routes | join(" ")' <<<"$out")" high
fix=$(jq -r '.findings[] | select(.check == "service") | .fix' <<<"$out")
type_fix
expect_eq "$(gw sysctl -n net.ipv4.ip_local_reserved_ports)" 4000,40000,40010-40020
healthy "$T/routes.json"
says_ok 'apply starts it'

apply routes
healthy
says_ok 'serves generation 1'

# It does not run.
ends() { [[ ! -e $RUN/run.pid ]]; }
kill -TERM "$(cat "$RUN/run.pid")"
eventually ends
finds_only service 'does not run, and routes need it' 'low high'
type_fix
healthy
says_ok 'serves generation'

# Its controller was killed; it is stopped.
kill -KILL "$(cat "$RUN/run.pid")"
finds_only service 'controller is gone' 'low high'
type_fix
healthy
pid=$(cat "$RUN/run.pid")
kill -STOP "$pid"
finds_only service "service \(pid $pid\) cannot be asked" 'low high'
expect_match "$fix" "^kill -KILL $pid "
kill -CONT "$pid"
healthy

# Somebody has one of its ports.
kill -TERM "$pid"
eventually ends
serve gw X -t '127.0.0.1:40010'
holder=$lab_pid
run spctl apply "$T/routes.json"
service_is_there() { [[ $(service_status | jq -r .state) == ready ]]; }
[[ -S $RUN/control.sock ]] || service_launch
eventually service_is_there
finds_only service "does not listen on \*:40010: the port has echod\[$holder\]" high
lab_stop "$holder"
kill -TERM "$(cat "$RUN/run.pid")"
eventually ends
spctl apply "$T/routes.json" >/dev/null
healthy

# Its dataplane ends whatever one does: nobody has the name that it shall have.
kill -TERM "$(cat "$RUN/run.pid")"
eventually ends
service_launch --user nosuchuser
often() { (($(service_status | jq .ends) >= 2)); }
eventually often
words='/etc/passwd has no user "nosuchuser"; '
if grep -qaE '__(asan|tsan)_init' "$SPCTL"; then
	words='' # it writes them itself then
fi
finds_only service "ends again and again \\([0-9]+ times, the last: ${words}exit code 1\\)" 'low high'
expect_match "$fix" 'service\.log'

# No route needs it.
kill -TERM "$SERVICE"
eventually ends
jq '.routes |= .[:1]' "$T/routes.json" >"$T/kernel.json"
apply kernel
healthy
says_ok 'no route needs the service'
expect_exit 0 spctl down
