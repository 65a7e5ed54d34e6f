#!/bin/bash
# Killed while what was found goes into the kernel: the child at each step of it (where there is a
# build with FAILPOINTS=1, SPCTL_FP, default $O-fp/spctl), and the controller at any moment. The table
# is the old one or the new one, and the next service finishes the work.
. "${0%/*}/lib.sh"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen
lab_up
config pool <<'CONFIG'
{"connectionRateLimitPerMinute":0,"maxConnectionsPerIP":0,"routes":[
 {"name":"pool","match":{"ports":9000},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}],
  "loadBalancing":{"healthCheck":{"interval":100,"timeout":90,"unhealthyThreshold":2,"healthyThreshold":2}}}}]}
CONFIG
serve a A -t '*:7000'
b_comes() { serve b B -t '*:7000' && b=$lab_pid; }
b_comes

generation=1
settled() { # HEALTHY-OF-B
	[[ $(jq '.down | length' "$T/state/found" 2>/dev/null || echo 0) == "$([[ $1 == true ]] && echo 0 || echo 1)" ]] && in_step "$1"
}
in_step() { # HEALTHY-OF-B: told, and the kernel has it; there is no image to believe
	rm -f "$T/run/image"
	run spctl status --json
	[[ $code == 0 ]] && jq -e ".drift == false and .generation == $generation and .routes[0].targets[1].healthy == $1" <<<"$out"
}
old_or_new() {
	local got
	got=$(probe tcp 10.10.0.1:9000 -n 4 --tally)
	[[ $got == 'A 4' || $got == $'A 2\nB 2' || $got =~ ^A\ [0-9].refused ]] || fail "half: \"$got\""
}
service_killed() {
	local controller plane
	controller=$(controller_pid)
	plane=$(pgrep -P "$controller" | head -n 20)
	kill -9 "$controller"
	# shellcheck disable=SC2086 # several
	kill -9 $plane 2>/dev/null || :
	is_gone() { [[ ! -e /proc/$controller ]]; }
	eventually is_gone
}

fp=${SPCTL_FP:-$O-fp/spctl}
if [[ -x $fp ]]; then
	apply pool
	for point in found committed verified image; do
		eventually settled true
		service_killed
		lab_start gw "$T/run.log" env SPCTL_FAILPOINT="$point" "$fp" run
		EVENTUALLY=20 eventually grep -q 'service is ready' "$T/run.log"
		lab_stop "$b"
		EVENTUALLY=20 eventually grep -q '10.20.0.3:7000 is down' "$T/run.log"
		down_on_disk() { [[ $(jq '.down | length' "$T/state/found") == 1 ]]; }
		eventually down_on_disk
		old_or_new
		service_killed
		apply pool
		eventually settled false
		expect_answer 'A 4' tcp 10.10.0.1:9000 -n 4 --tally
		b_comes
	done
	eventually settled true
	expect_exit 0 spctl down
else
	echo "no build with FAILPOINTS=1 at $fp: only the controller is killed"
fi

generation=$(($(find "$T/state/applied" -name '*.json' 2>/dev/null | wc -l) + 1))
# The controller alone, from nothing at all to well after it: its child may be at work, or be about to be.
apply pool
for i in {1..12}; do
	eventually settled true
	expect_answer $'A 2\nB 2' tcp 10.10.0.1:9000 -n 4 --tally
	lab_stop "$b"
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	kill -9 "$(controller_pid)"
	old_or_new
	apply pool
	eventually settled false
	expect_answer 'A 4' tcp 10.10.0.1:9000 -n 4 --tally
	b_comes
done
eventually settled true
expect_exit 0 spctl down
