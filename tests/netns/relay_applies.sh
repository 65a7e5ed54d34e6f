#!/bin/bash
# Applies every 100 ms under load, APPLIES_SECONDS for each kind: no connection fails and none of before is lost, whether targets
# change, ports come and go, or the port itself moves between user space and the kernel.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
reuse_ports
APPLIES_SECONDS=${APPLIES_SECONDS:-10}

# routes NAME ENGINE HOST PORT...: one route.
routes() {
	local engine=$2 host=$3 at file=$1
	shift 3
	at=$(IFS=,; echo "$*")
	config "$file" <<-E
		{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"web","match":{"ports":[$at]},
		 "action":{"type":"forward","forwardingEngine":"$engine","targets":[{"host":"$host","port":7000}]}}]}
	E
}
routes one relay 10.20.0.2 9000
routes two relay 10.20.0.3 9000
routes more relay 10.20.0.2 9000 9010
routes kernel nftables 10.20.0.3 9000

load_begin() { # PORT
	lab_start cl "$T/flood.log" "$LAB_TOOLS/flood" 10.10.0.1:"$1" -d 600 -c 4 -w 5000
	flood=$lab_pid
	eventually grep -qx started "$T/flood.log"
}
load_end() { # WHAT
	kill "$flood"
	wait "$flood" || :
	expect_match "$(tail -n 1 "$T/flood.log")" '^[1-9][0-9]* ok, 0 failed$' "$1: $(paste -sd' ' "$T/flood.log")"
	echo "$1: $n applies, $(tail -n 1 "$T/flood.log")"
}
# in_turn NAME NAME [CMD]: applies one and the other, every 100 ms where an apply is as fast; CMD after each.
in_turn() {
	local until=$((SECONDS + APPLIES_SECONDS)) start_ms now_ms
	n=0
	while ((SECONDS < until)); do
		start_ms=${EPOCHREALTIME/./}
		apply "${@:1+n%2:1}"
		n=$((n + 1))
		[[ -z ${3-} ]] || "$3"
		now_ms=${EPOCHREALTIME/./}
		((now_ms - start_ms >= 100000)) || sleep "$(printf %.3f "$((100000 - now_ms + start_ms))e-6")"
	done
}

apply one
pid=$(plane_pid)
hold old cl tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|one' one

load_begin 9000
in_turn two one
load_end 'targets'
expect_hold old 'A|10.20.0.1|two' two

# What was just opened is served, although the sockets of the port of a moment ago may not be closed yet.
opened() {
	local got
	((n % 2)) || return 0
	got=$(probe tcp 10.10.0.1:9010 -n 30 -c 3 --tally -w 5000)
	expect_eq "$got" 'A 30' "the port that apply $n opened"
}
load_begin 9000
in_turn more one opened
load_end 'ports'
expect_hold old 'A|10.20.0.1|three' three

# The kernel takes the port, and gives it back.
apply one
load_begin 9000
in_turn kernel one
load_end 'tiers'
expect_hold old 'A|10.20.0.1|four' four
expect_eq "$(plane_pid)" "$pid" 'the dataplane of the beginning'
hold_close old
apply one
expect_idle
expect_exit 0 spctl down
