#!/bin/bash
# status with a service: its counters beside the kernel's, what needs somebody, and that a service which is stopped,
# gone or somewhere else is told within a time instead of waited for.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_connlimit
need_tool prlimit
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
RUN=$SPCTL_RUN_DIR

status_json() { expect_exit "${1:-0}" spctl status --json; }
route() { jq -c --arg n "$1" '.routes[] | select(.name == $n)' <<<"$out"; }
# within SECONDS: the last command did not take longer.
began=0
begin() { began=$SECONDS; }
within() { ((SECONDS - began <= $1 * STRETCH)) || fail "it took $((SECONDS - began)) s"; }
expect_attention() { # REGEX: exit 1 with that sentence, in both forms
	expect_exit 1 spctl status
	expect_match "$out" "ATTENTION: [^"$'\n'"]*$1"
	expect_exit 1 spctl status --json
	jq -e --arg r "$1" 'any(.attention[]; test($r))' <<<"$out" >/dev/null || fail "no /$1/ in $(jq -c .attention <<<"$out")"
}
is_fine() { spctl status; }

# Nothing is applied and nothing runs: fine.
expect_exit 0 spctl status --json
expect_json "$out" '.service == {"running":false,"pid":null} and .attention == []'

config both <<'CONFIG'
{"maxConnectionsPerIP":3,"connectionRateLimitPerMinute":0,
 "defaults":{"target":{"host":"10.20.0.2","port":7000}},
 "routes":[
 {"name":"kernel","match":{"ports":[9000,9003]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"front","priority":9,"match":{"ports":9003,"domains":"front.test"},"action":{"type":"forward","tls":{"mode":"passthrough"},"targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"web","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}},
 {"name":"gone","match":{"ports":9002},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7009}]}}]}
CONFIG
apply both
expect_exit 0 spctl status
expect_match "$out" "service: pid $(cat "$RUN/run.pid"), dataplane [0-9]+ as .*, [0-9]+ workers, 0 connections"
expect_match "$out" 'if the controller dies, connections go on'
status_json
# A build with sanitizers has no filter.
sandboxed=true
! grep -qaE '__(asan|tsan)_init' "$SPCTL" || sandboxed=false
expect_json "$out" ".service | .running and .answers and .pid == $(cat "$RUN/run.pid") and .state == \"ready\"
	and .sandboxed == $sandboxed and .uid >= 1 and .systemCallsRefused == 0 and .afterCrash == \"connections\" and .restarts == 0"
expect_json "$out" '.attention == [] and .drift == false and .service.generation == .generation'

# What each has carried, exactly: bytes of payload for the service, 3 ("hi\n") and 15 a connection.
for _ in 1 2; do
	probe tcp 10.10.0.1:9001 >/dev/null
done
hold h cl tcp 10.10.0.1:9001
expect_hold h 'A|10.20.0.1|0123456789' 0123456789
status_json
web=$(route web)
expect_json "$web" '.tier == "relay" and .active == 1 and .total == 3 and .bytesIn == 17 and .bytesOut == 53'
expect_json "$web" '.movers == {"sockmap":0,"splice":0,"copy":3} and .refused == {}'
expect_json "$web" '.targets | map([.host, .port, .active, .total, .bytesIn, .healthy]) ==
	[["10.20.0.2",7000,1,2,14,true],["10.20.0.3",7000,0,1,3,true]]'
expect_json "$out" '.service.connections == 1'
expect_exit 0 spctl status
expect_match "$out" '(1 worker|[0-9]+ workers), 1 connection'$'\n'
expect_match "$out" $'\n''web +relay +tcp/9001 +2 targets: +1 +3 +17 +53 +0'
expect_match "$out" ' 10\.20\.0\.3:7000 +0 +1 +3 +15'
hold_close h
none_left() { spctl status --json | jq -e '[.routes[].active, .routes[].targets[].active, .service.connections] | add == 0'; }
eventually none_left

# A refused target: counted as refused by its route, and by the target as failed.
expect_refused tcp 10.10.0.1:9002
status_json
expect_json "$(route gone)" '.refused == {"connect_failed":1} and .targets[0].failed == 1 and .active == 0'
expect_exit 0 spctl status
expect_match "$out" 'refused by gone: 1 connect_failed'

# One route, served by both: the sum. Its port 9003 is user space's, as front stands before it there.
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
before=$(spctl status --json | jq '.routes[] | select(.name == "kernel") | .total')
expect_eq "$before" 1
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9003
status_json
expect_json "$(route kernel)" '.tier == "nftables" and .total == 2 and .movers.copy == 1 and .packetsIn > 0
	and (.targets | length) == 1 and .targets[0].total == 2'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
status_json
expect_json "$(route kernel)" '.total == 3 and .movers.copy == 1'

# What the kernel refuses of a relay port is its route's, too: three at once of one client, over all ports.
for i in 1 2 3; do
	hold "l$i" cl tcp 10.10.0.1:9001
done
expect_refused tcp 10.10.0.1:9001
status_json
expect_json "$(route web)" '.refused.ip_limit >= 1 and .active == 3'
for i in 1 2 3; do
	hold_close "l$i"
done
eventually none_left

# defaults.target is a row; who had no route is counted apart.
status_json
expect_json "$(route defaults.target)" '.tier == "relay" and .targets[0].host == "10.20.0.2"'
expect_exit 0 spctl status
expect_match "$out" 'defaults.target +relay +the rest +10\.20\.0\.2:7000'
while read -r line; do
	((${#line} <= 100)) || fail "a line of ${#line} columns: $line"
done <<<"$out"

# Stopped: it says so, within a time, and with what it still knows.
pid=$(cat "$RUN/run.pid") dataplane=$(dataplane_pid)
kill -STOP "$pid"
begin
expect_exit 1 spctl status
within 9
expect_match "$out" "ATTENTION: the service \(pid $pid\) cannot be asked: .*time"
expect_match "$out" $'\n''web +relay .*\?'
expect_match "$out" $'\n''kernel +nftables '
status_json 1
expect_json "$out" '.service | .running and .answers == false and .pid == '"$pid"
expect_json "$(route web)" '.active == null and .total == null'
kill -CONT "$pid"
eventually is_fine
# Its dataplane alone: told, killed, and started again.
kill -STOP "$dataplane"
begin
expect_exit 1 spctl status
within 9
expect_match "$out" 'ATTENTION: the (service|dataplane) .*(cannot be asked|not ready)'
eventually is_fine
status_json
expect_json "$out" '.service.restarts == 1'
expect_json "$out" ".service.dataplane != $dataplane"

# Questions without end between a heartbeat and its answer: the dataplane is not blamed for it.
dataplane=$(dataplane_pid)
end=$((SECONDS + 6))
for _ in {1..500}; do
	echo '{"type":"status"}'
done >"$T/questions"
askers=()
for _ in 1 2 3 4; do
	while ((SECONDS < end)); do
		timeout $((10 * STRETCH)) "$ASK" "$RUN/control.sock" <"$T/questions" >/dev/null || :
	done &
	askers+=($!)
done
wait "${askers[@]}"
expect_eq "$(dataplane_pid)" "$dataplane" 'the dataplane was asked to death'

# Another generation than is live, which the service sees; then the right one that does not listen where it should.
live=$(spctl status --json | jq .generation)
is_told() { # it is told in the second before the service follows by itself
	service_apply 77 9001 10.20.0.2:7000
	! spctl status >"$T/status" && grep -q "ATTENTION: the service has generation 77 instead of $live" "$T/status"
}
eventually is_told
follows() { [[ $(service_status | jq .generation) == "$live" ]]; }
eventually follows
service_apply "$live" 9009 10.20.0.2:7000
expect_exit 1 spctl status --json
expect_json "$out" '.drift and (.driftReason | test("does not listen on \\*:9001, nor on others"))'
expect_exit 1 spctl status
expect_match "$out" 'DRIFT: the service does not listen on \*:9001'

# The controller alone is killed: connections go on, and it is told. Apply has a new one.
kill -9 "$(cat "$RUN/run.pid")"
eventually test ! -e "/proc/$pid"
expect_attention 'controller is gone'
expect_exit 0 spctl apply "$T/both.json"
eventually is_fine

# All of it is gone.
dataplane=$(dataplane_pid)
kill -9 "$(cat "$RUN/run.pid")"
kill -9 "$dataplane"
gone() { ! spctl status >"$T/status" && grep -q 'needed and does not run' "$T/status"; }
eventually gone
expect_attention 'the service is needed and does not run: .spctl apply. starts it'
status_json 1
expect_json "$out" '.service.running == false'

# All targets of a route are down: by health checks, for a route of the service's and one of the kernel's.
config sick <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7001}],
  "loadBalancing":{"algorithm":"round-robin","healthCheck":{"interval":200,"timeout":200,"unhealthyThreshold":1,"healthyThreshold":1}}}}]}
CONFIG
serve a A -t '*:7001'
apply sick
is_down() { spctl status --json >"$T/json" && jq -e '.routes[0].targets[1].healthy == false and .routes[0].targets[0].healthy' "$T/json"; }
eventually is_down
expect_exit 0 spctl status
expect_match "$out" '10\.20\.0\.3:7001 DOWN'
srv a nft 'table inet lost { chain c { type filter hook input priority 0; tcp dport 7001 drop; }; }'
all_down() { ! spctl status >"$T/status" && grep -q 'ATTENTION: route "web": all targets are down' "$T/status"; }
eventually all_down
srv a nft delete table inet lost
eventually is_fine

# Descriptors: a service that has a few more than it needs, and may not raise that.
fds=$(find "/proc/$(dataplane_pid)/fd" -mindepth 1 | wc -l)
kill -9 "$(cat "$RUN/run.pid")" "$(dataplane_pid)"
cat >"$T/poor" <<-END
	#!/bin/sh
	exec setpriv --bounding-set=-sys_resource prlimit --nofile=$((fds + 10)) "$SPCTL" "\$@"
END
chmod +x "$T/poor"
SERVICE_BINARY=$T/poor service_start
eventually is_fine
for i in 1 2 3 4 5 6 7 8; do
	hold "d$i" cl tcp 10.10.0.1:9001
done
expect_attention 'out of descriptors: new connections wait'
expect_hold d1 'A|10.20.0.1|still' still
status_json 1
expect_json "$out" '.service.outOfDescriptors'
for i in 1 2 3 4 5 6 7 8; do
	hold_close "d$i"
done
eventually is_fine
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001

# Nothing needs it any more, and nothing is left that needs somebody.
expect_exit 0 spctl down
expect_exit 0 spctl status --json
expect_json "$out" '.service.running == false and .attention == []'
