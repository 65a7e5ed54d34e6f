#!/bin/bash
# Killed (SIGKILL) at every step of apply and of down: what runs is the old state or the new one,
# never half of each, and the next command puts everything right. Needs a build with FAILPOINTS=1
# beside the plain one (SPCTL_FP, default $O-fp/spctl).
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
. "${0%/*}/failpoint_lib.bash"

lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:8000'
config old <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config new <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
EOF
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

# die POINT COMMAND...: exit 137 if that point is on the way, 0 if not.
die() {
	local point=$1
	shift
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" "$@"
	[[ $code == 137 || $code == 0 ]] || fail "$* with the fail point $point: exit $code"
}

# What is told of the routes is what they do, and at once: nobody else is at work.
told_true() {
	local host=2 t0=$SECONDS
	[[ $(probe tcp 10.10.0.1:9000) == A* ]] || host=3
	run spctl status --json
	((SECONDS - t0 < 3 * STRETCH)) || fail "status took $((SECONDS - t0)) s after a kill at $1"
	expect_json "$out" ".routes[0].targets[0].host == \"10.20.0.$host\"" "status after a kill at $1"
	# Settings and guards that came before their routes are told, rightly.
	[[ $host == 2 ]] || expect_json "$out" '.drift == false' "drift after a kill at $1"
	expect_exit 0 spctl explain --port 9000
	expect_match "$out" "10\.20\.0\.$host:7000" "explain after a kill at $1"
}

declare -A hit=()
for point in "${points[@]}"; do
	# The first apply of all: before it there was nothing.
	die "$point" apply "$T/old.json"
	expect_match "$(probe tcp 10.10.0.1:9000)$(probe tcp 10.10.0.1:9001)" \
		'^(refusedrefused|A\|10\.20\.0\.1\|hiA\|10\.20\.0\.1\|hi)$' "first apply, $point"
	apply old
	expect_exit 0 spctl status
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

	# From one state to another, with a connection that stays.
	hold kept cl tcp 10.10.0.1:9000
	die "$point" apply "$T/new.json"
	((code == 0)) || hit[$point]=1
	expect_match "$(probe tcp 10.10.0.1:9000)$(probe tcp 10.10.0.1:9001)" \
		'^(A\|10\.20\.0\.1\|hiA|B\|10\.20\.0\.1\|hiB)\|10\.20\.0\.1\|hi$' "second apply, $point"
	expect_hold kept 'A|10.20.0.1|one' one
	told_true "$point"
	apply new
	expect_exit 0 spctl status
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
	expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
	expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9002
	expect_hold kept 'A|10.20.0.1|two' two
	hold_close kept

	# And away again.
	die "$point" down
	((code == 0)) || hit[$point]=1
	expect_exit 0 spctl down
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after down, $point"
	expect_eq "$(sysctls)" "$sys" "sysctls after down, $point"
	expect_exit 0 spctl status
done
# Those of --confirm, of what is put back and of routes that are gone are on other ways:
# failpoints_confirm.sh. Those of the service: failpoints_service.sh.
for point in "${points[@]}"; do
	[[ ${hit[$point]-} || $point =~ ^(prepared|found|served|heard|down_service|armed|put_back_settings|put_back|back_decided|closed|confirmed|forgotten)$ ]] ||
		fail "the fail point $point was not on the way"
done
