#!/bin/bash
# Targets that misbehave, each in its way, and what a client sees of it. Pitfalls 4, 16, 17, 18.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
backend answers b B 10.20.0.3:7000
backend refuses a R 10.20.0.2:7000
backend answers a L 10.20.0.2:7001
backend lost a L 10.20.0.2:7001
backend mute a M 10.20.0.2:7002
backend resets a X 10.20.0.2:7003 20
lab_start a "$T/loadd.log" "$LAB_TOOLS/loadd" 10.20.0.2:7004
backend pours a P 10.20.0.2:7005 3000000
backend resets a Y 10.20.0.2:7006

# one PORT TARGET...: a route to these, the first one preferred.
list=''
one() {
	local port=$1 t targets='' priority=9
	shift
	for t; do
		targets+="${targets:+,}{\"host\":\"${t%:*}\",\"port\":${t##*:},\"priority\":$priority}"
		priority=$((priority - 1))
	done
	list+="${list:+,}{\"name\":\"r$port\",\"match\":{\"ports\":$port},\"action\":{\"type\":\"forward\",
		\"forwardingEngine\":\"relay\",\"targets\":[$targets]}}"
}
one 9000 10.20.0.2:7000 10.20.0.3:7000 # refuses, then one that is there
one 9001 10.20.0.2:7001 10.20.0.3:7000 # never answers a SYN
one 9002 10.20.0.2:7001
one 9003 10.20.0.2:7002
one 9004 10.20.0.2:7003
one 9005 10.20.0.2:7004
one 9006 10.20.0.2:7005
one 9007 10.20.0.2:7006
apply_config <<E
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"connectionTimeout":2000,"inactivityTimeout":3000,
 "keepAliveTreatment":"standard","routes":[$list]}
E
# ms CMD...: leaves its output in $got, how long it took in $took.
ms() {
	local from=${EPOCHREALTIME/./}
	got=$("$@")
	took=$(((${EPOCHREALTIME/./} - from) / 1000))
}
within() { is_slow || ((took >= $1 && took <= $2)) || fail "it took $took ms, not $1 to $2"; }

# Refuses: the next, at once. Never answers: the next, within the time for all of them.
for _ in 1 2 3 4; do
	ms probe tcp 10.10.0.1:9000
	expect_eq "$got" 'B|10.20.0.1|hi'
	within 0 500
done
ms probe tcp 10.10.0.1:9001 -w $((5000 * STRETCH))
expect_eq "$got" 'B|10.20.0.1|hi' 'the next target, within the connect timeout'
within 0 1900
# The only one: the client is told, with the reason counted; a moment later nothing is left of it.
ms probe tcp 10.10.0.1:9002 -w $((6000 * STRETCH))
expect_match "$got" '^(reset|closed)$'
within 1900 3000
expect_eq "$(refusals connect_timeout)" 1
# A client that leaves meanwhile takes the attempt along (pitfall 7): before the two seconds are over.
pending() { [[ $(srv gw ss -Htn state syn-sent 'dport = 7001') ]]; }
for how in --reset ''; do
	# shellcheck disable=SC2086 # an option or none
	hold leaves cl tcp 10.10.0.1:9002 $how
	eventually pending
	hold_close leaves
	from=${EPOCHREALTIME/./}
	not_pending() { ! pending; }
	eventually not_pending
	took=$(((${EPOCHREALTIME/./} - from) / 1000))
	within 0 1500
done
expect_idle

# Accepts and never answers: as long as the inactivity limit, then the reason is counted.
ms probe tcp 10.10.0.1:9003 -w $((8000 * STRETCH))
expect_match "$got" '^(reset|closed)$'
within 2500 5000
expect_eq "$(refusals inactivity)" 1

# Resets in the middle: the client gets a reset, not an end that looks whole.
hold mid cl tcp 10.10.0.1:9004
hold_say mid 1234567890123456789
expect_eq "$answer" reset
hold_close mid
lab_start cl "$T/poured" "$LAB_TOOLS/probe" tcp 10.10.0.1:9006 --drain
wait "$lab_pid" || :
expect_eq "$(tail -n 1 "$T/poured")" reset
# At once: nothing was said yet, so the next target would get it; there is none.
expect_match "$(probe tcp 10.10.0.1:9007)" '^(reset|closed)$'

# Never reads: what the relay and its sockets hold of it stays below 16 MB, where the kernel's own bounds of socket
# buffers are those that it comes with (a host that allows 32 MB for one socket is given 32 MB).
gw sh -c 'echo 4096 131072 6291456 >/proc/sys/net/ipv4/tcp_rmem; echo 4096 16384 4194304 >/proc/sys/net/ipv4/tcp_wmem'
held_start=$(plane_rss_kb)
lab_start cl "$T/stall" "$LAB_TOOLS/hold" stall 10.10.0.1:9005 -d 2
stall=$lab_pid
stalled() { [[ -s $T/stall ]]; }
eventually stalled
sent=$(jq .sent "$T/stall") waits=$(jq .queued "$T/stall") unread=$(held_bytes a 7004)
((sent - waits - unread <= 16000000)) || fail "$((sent - waits - unread)) bytes are held"
((sent > 100000)) || fail "only $sent bytes were taken"
(($(plane_rss_kb) - held_start <= 16000)) || fail "from $held_start to $(plane_rss_kb) kB of memory"
echo "held for a receiver that stalls: $((sent - waits - unread)) bytes"
lab_stop "$stall"
expect_idle
expect_exit 0 spctl down
