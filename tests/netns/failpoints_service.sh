#!/bin/bash
# Killed (SIGKILL) at every step of an apply and of a down that the service takes part in: the kernel's routes and
# the service's are both the old ones or both the new ones, the connection that stays stays, and the next
# command puts everything right. Needs a build with FAILPOINTS=1 (see failpoint_lib.bash).
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
. "${0%/*}/failpoint_lib.bash"

lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
routes() { # HOST PORT...: 9000 is the kernel's, the others the service's
	local host=$1 port list=''
	shift
	for port; do
		list+=',{"name":"r'$port'","match":{"ports":'$port'},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.'$host'","port":7000}]}}'
	done
	echo '{"connectionRateLimitPerMinute":0,"routes":[{"name":"k","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.'"$host"'","port":7000}]}}'"$list"']}'
}
routes 2 9001 9002 | config old
routes 3 9001 9003 | config new
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

die() { # POINT COMMAND...: exit 137 if that point is on the way, 0 if not
	local point=$1
	shift
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" "$@"
	[[ $code == 137 || $code == 0 ]] || fail "$* with the fail point $point: exit $code"
}
all() { for port; do probe tcp 10.10.0.1:"$port"; done | cut -d'|' -f1 | tr '\n' ' '; }
# The service asks the kernel which generation is true: a moment later both say the same.
agree() { [[ $(all 9000 9001 9002 9003) =~ ^(A A A refused|B B refused B|refused refused refused refused)\ $ ]]; }
is_gone() { ! gw pgrep -x spctl; }

declare -A hit=()
for point in "${points[@]}"; do
	[[ ! $point =~ ^(armed|put_back_settings|put_back|back_decided|closed|confirmed|forgotten)$ ]] || continue
	die "$point" apply "$T/old.json" # the first of all: it starts the service, too
	eventually agree
	apply old
	expect_eq "$(all 9000 9001 9002 9003)" 'A A A refused ' "applied again after $point"
	expect_exit 0 spctl status

	hold kept cl tcp 10.10.0.1:9001
	die "$point" apply "$T/new.json"
	((code == 0)) || hit[$point]=1
	eventually agree
	expect_hold kept 'A|10.20.0.1|one' one
	apply new
	expect_eq "$(all 9000 9001 9002 9003)" 'B B refused B ' "applied again after $point"
	expect_exit 0 spctl status
	expect_hold kept 'A|10.20.0.1|two' two
	hold_close kept

	die "$point" down
	((code == 0)) || hit[$point]=1
	expect_exit 0 spctl down
	is_gone || fail "a process is left after down, $point"
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after down, $point"
	expect_eq "$(sysctls)" "$sys" "sysctls after down, $point"
	expect_exit 0 spctl status
done
for point in prepared served heard down_service committed live; do
	[[ ${hit[$point]-} ]] || fail "the fail point $point was not on the way"
done
