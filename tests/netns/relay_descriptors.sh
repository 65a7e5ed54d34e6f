#!/bin/bash
# Descriptors exhausted: accept pauses, says so, and recovers; who came meanwhile waits, and nobody is turned away.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool prlimit setpriv
lab_up
serve a A -t '*:7000'

# service LIMIT: one that cannot have more descriptors than these, and cannot raise that.
service() {
	lab_start gw "$T/service.log" setpriv --bounding-set=-sys_resource prlimit --nofile="$1:$1" "$SPCTL" run --workers 2
	eventually grep -q 'service is ready' "$T/service.log"
	apply_config <<-'E'
		{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"connectionTimeout":20000,"routes":[{"name":"web","match":{"ports":9000},
		 "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	E
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_idle
}
service 4096
fds=$(plane_fds)
expect_exit 0 spctl down

# Room for ten connections beside 16 descriptors that are not for them; each client holds one. With an odd one there
# would be room for a client's socket, but not for that of its target: it has to wait as well.
for room in 36 37; do
	service $((fds + room))
	pid=$(plane_pid)
	for i in {1..14}; do
		mkfifo "$T/in.$i"
		lab_start cl "$T/out.$i" bash -c 'exec "$1" tcp 10.10.0.1:9000 --hold -w 30000 <"$2"' hold "$LAB_TOOLS/probe" "$T/in.$i"
		client[i]=$lab_pid
		exec {fd}<>"$T/in.$i"
		in[i]=$fd
		echo hi >&"$fd"
	done
	answers() { cat "$T"/out.* | grep -cx "$1" || :; }
	answered() { [[ $(answers 'A|10.20.0.1|hi') == "$1" ]]; }
	exhausted() { [[ $(plane_process .outOfDescriptors) == true ]]; }
	eventually answered 10
	eventually exhausted
	eventually grep -q 'out of descriptors' "$T/service.log"
	# It waits, it does not spin; and it can still be asked and given routes.
	ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
	before=$(ticks)
	apply routes
	sleep 1 # of which the time is taken
	is_slow || (($(ticks) - before < 20)) || fail "it used $(($(ticks) - before)) % of a CPU while it waited"
	answered 10 || fail "$(answers '.*') lines"
	# Each that leaves makes room for one that waits, until all are served.
	gone=0
	for i in {1..14}; do
		((gone < 4)) && grep -q '^A|' "$T/out.$i" || continue
		lab_stop "${client[i]}"
		gone=$((gone + 1))
		eventually answered $((10 + gone))
	done
	expect_eq "$(answers '\(reset\|closed\|refused\|timeout\)')" 0 'turned away'
	for i in {1..14}; do
		lab_stop "${client[i]}"
		fd=${in[i]}
		exec {fd}>&-
	done
	rm -f "$T"/in* "$T"/out.*
	eventually grep -q 'descriptors are free again' "$T/service.log"
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_idle
	expect_eq "$(plane_fds)" "$fds" 'open files'
	expect_eq "$(plane_process '[.refused[]] | add // 0') $(plane_routes '[.[0].refused[]] | add // 0')" '0 0' 'refused'
	expect_eq "$(plane_routes '.[0].targets[0].failed')" 0 'held against the target'
	expect_eq "$(plane_pid)" "$pid" 'the same dataplane'
	expect_exit 0 spctl down
done
