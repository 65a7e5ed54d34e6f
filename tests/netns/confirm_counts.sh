#!/bin/bash
# Counters and numbers of routes that are gone: with apply --confirm they go with `spctl confirm`, also
# where that is killed; a route that comes back begins anew. What waits keeps those of before.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
need_tool strings od
lab_up
serve a A -t '*:7000'
fp=${SPCTL_FP:-$O-fp/spctl}

for name in first second deploy-{1..8}; do
	config "$name" <<CONFIG
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"$name","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"stays","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
done
# To the end of the connection: a late packet of a former route would be counted once more.
closed() { [[ $(gw conntrack -L -p tcp 2>/dev/null | awk '$4 != "TIME_WAIT" && $4 != "CLOSE"') == '' ]]; }
use() {
	expect_answer 'A|10.20.0.1|hi' tcp "10.10.0.1:$1"
	eventually closed
}
names() { strings "$T/state/ids" | grep -cE 'first|second|deploy|stays'; }
# (status exits with 1 while something waits.)
count() { { spctl status --json || :; } | jq --arg name "$1" '.routes[] | select(.name == $name).total'; }
id() { { spctl status --json || :; } | jq --arg name "$1" '.routes[] | select(.name == $name).id'; }
sizes() { echo "$(set_size new) $(set_size up) $(set_size down) $(names)"; }
# The image is of the kernel's generation: the next apply need not read the table. Whose number the
# kernel tells with the next commit of anybody, once the monitor listens.
told() { grep -q "new generation $1" "$T/monitor"; }
expect_true_image() {
	local image n=0
	image=$(od -An -tu4 -j20 -N4 "$T/run/image")
	: >"$T/monitor" # what the last one told is no answer
	nsenter --net=/run/netns/gw -- nft monitor >"$T/monitor" &
	LAB_PIDS+=("$!")
	until told ''; do
		gw nft 'add table ip t; delete table ip t'
		n=$((n + 1))
	done
	eventually told "$((image + n)) by"
	lab_stop "${LAB_PIDS[-1]}"
}

# ---- confirmed, one after another -----------------------------------------------------------
for i in {1..8}; do
	apply "deploy-$i" --confirm 60
	use 9001
	use 9002
	expect_exit 0 spctl confirm
	expect_eq "$(sizes)" '2 2 2 2' "after confirm $i: new, up, down, names"
done
expect_eq "$(count deploy-8)" 1
expect_eq "$(count stays)" 8
expect_true_image
expect_exit 0 spctl apply "$T/deploy-8.json"
expect_match "$out" '^nothing to do'
# It comes back: another number, and nothing counted.
apply deploy-7 --confirm 60
expect_exit 0 spctl confirm
old=$(id deploy-7)
use 9001
apply deploy-8 --confirm 60
expect_exit 0 spctl confirm
apply deploy-7 --confirm 60
expect_eq "$(count deploy-7)" 0
(($(id deploy-7) > old)) || fail "deploy-7 has its old number $old again"
expect_exit 0 spctl confirm

# ---- what waits keeps those of before, until it is decided -------------------------------------
apply first
expect_eq "$(sizes)" '1 1 1 2' 'after a plain apply'
use 9001
apply second --confirm 60
use 9001
expect_eq "$(sizes)" '3 3 3 3' 'while it waits'
apply deploy-1 --confirm 60
use 9001
expect_eq "$(sizes)" '4 4 4 4' 'while another waits instead'
expect_exit 0 spctl rollback
expect_eq "$(sizes)" '2 2 2 2' 'after rollback'
expect_eq "$(count first)" 1 'what was counted before'
apply second --confirm 60
apply deploy-1 --confirm 60
use 9001
expect_exit 0 spctl confirm
expect_eq "$(sizes)" '2 2 2 2' 'confirmed: one, instead of two'
expect_eq "$(count stays)" 8
expect_exit 0 spctl down

# ---- killed ----------------------------------------------------------------------------------
if [[ ! -x $fp ]]; then
	echo "no build with FAILPOINTS=1 at $fp: nothing was killed"
	exit 0
fi
killed() { # POINT COMMAND...
	local point=$1
	shift
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" "$@"
	expect_eq "$code" 137 "$* with the fail point $point"
}
for point in confirmed forgotten; do
	# What comes next: the same file, one more, or the route that was forgotten.
	for next in second deploy-1 first; do
		apply first
		use 9001
		old=$(id first)
		apply second --confirm 60
		use 9001
		killed "$point" confirm
		expect_exit 0 spctl confirm
		apply "$next"
		case $next in
		second) expect_eq "$(sizes)" '1 1 1 2' "$point, $next" ;;
		*) expect_eq "$(sizes)" '0 0 0 2' "$point, $next" ;;
		esac
		[[ $next != first ]] || (($(id first) > old)) || fail "killed at $point: first has its old number"
		expect_true_image
		expect_exit 0 spctl down
	done
done
# An apply without --confirm, killed when it is live.
for point in live forgotten; do
	apply first
	use 9001
	old=$(id first)
	killed "$point" apply "$T/second.json"
	apply first
	expect_eq "$(sizes)" '0 0 0 2' "apply, $point"
	(($(id first) > old)) || fail "apply killed at $point: first has its old number"
	expect_exit 0 spctl down
done
