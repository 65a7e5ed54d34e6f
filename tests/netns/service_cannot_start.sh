#!/bin/bash
# A service whose dataplane does not start: apply says at once why, and what the kernel serves alone
# is not held up. Exit code 4 is STATE's lock alone.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
config_relay relay 8000
kernel() { # NAME LAST-BYTE: a kernel route, which the service would follow
	config "$1" <<-END
		{"routes":[{"name":"k","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.$2",
		  "port":7000}],"loadBalancing":{"algorithm":"round-robin","healthCheck":{"path":"/","interval":60000}}}}]}
	END
}
kernel k 2
kernel k2 3
fast() { # LIMIT CMD: it has not waited for a deadline
	local began=$SECONDS limit=$1
	shift
	"$@"
	is_slow || ((SECONDS - began <= limit)) || fail "$((SECONDS - began)) s: $*"
}

# It has never started.
service_launch --user nosuchuser
eventually grep -q 'the dataplane ended' "$T/service.log"
fast 5 expect_exit 1 spctl apply "$T/relay.json"
expect_match "$err" 'the dataplane does not start: .*exit code 1'
grep -qaE '__(asan|tsan)_init' "$SPCTL" || expect_match "$err" '/etc/passwd has no user "nosuchuser"'
expect_no_table
fast 5 expect_exit 0 spctl apply "$T/k.json"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
fast 5 expect_exit 0 spctl apply "$T/k2.json"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
fast 5 expect_exit 1 spctl apply "$T/relay.json" # after many attempts, too
expect_match "$err" 'the dataplane does not start'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
fast 5 expect_exit 0 spctl rollback
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 1 spctl status
expect_match "$out" 'ATTENTION: the dataplane is not ready'
kill -9 "$SERVICE"
wait "$SERVICE" || :

# It did once, and does not any more: relay routes go, nobody waits for it.
apply relay
kill -TERM "$(cat "$RUN/run.pid")"
socket_is_gone() { [[ ! -e $RUN/control.sock ]]; }
eventually socket_is_gone
service_launch --user nosuchuser
eventually grep -q 'the dataplane ended' "$T/service.log"
fast 5 expect_exit 0 spctl apply "$T/k.json"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually expect_no_listener 8000

# The lock, and nothing but the lock.
expect_exit 4 flock "$SPCTL_STATE_DIR/lock" nsenter --net=/run/netns/gw -- "$SPCTL" apply "$T/k2.json" --timeout 1
expect_match "$err" 'another spctl.* still holds'
expect_exit 0 spctl down
expect_refused tcp 10.10.0.1:9000
