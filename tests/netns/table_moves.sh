#!/bin/bash
# A new table name together with what else can happen: --confirm, the way back, a failed read-back;
# killed in between or not, one table is left, the right one, and down takes all. Needs a build with
# FAILPOINTS=1.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
fp=${SPCTL_FP:-$O-fp/spctl}
[[ -x $fp ]] || skip "no build with FAILPOINTS=1 at $fp"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/old.json" >"$T/new.json"
sys=$(sysctls)
tables() { gw nft list tables | tr '\n' ' '; }
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
is_stopped() { [[ $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$job/status") == T ]]; }
clean() {
	expect_exit 0 spctl down
	expect_eq "$(tables)" '' "tables after down, $1"
	expect_eq "$(sysctls)" "$sys" "sysctls after down, $1"
	eventually no_timer
}
is_old() {
	expect_exit 0 spctl status
	expect_match "$out" 'table inet ta' "$1"
	expect_eq "$(tables)" 'table inet ta ' "$1"
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_exit 0 spctl apply "$T/old.json" --table ta
	expect_match "$out" 'nothing to do' "$1"
}

# The take-back is killed: the next command ends it.
for point in back_decided committed verified live image pruned; do
	apply old --table ta
	expect_exit 0 spctl apply "$T/new.json" --table tb --confirm 600
	expect_eq "$(tables)" 'table inet tb '
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" rollback
	expect_eq "$code" 137 "rollback with the fail point $point"
	expect_match "$(tables)" '^table inet t[ab] $' "killed at $point"
	spctl status >"$T/ignored" 2>&1 || :
	is_old "take-back killed at $point"
	clean "take-back killed at $point"
done

# So it does where the first thing that is asked for is down.
apply old --table ta
expect_exit 0 spctl apply "$T/new.json" --table tb --confirm 600
run lab_in gw env SPCTL_FAILPOINT=committed "$fp" rollback
expect_eq "$code" 137 'rollback'
clean 'down after a killed take-back'

# A read-back that fails after a move, and is killed while the old one is put back.
for point in put_back_settings put_back none; do
	apply old --table ta
	nsenter --net=/run/netns/gw -- env SPCTL_STOPPOINT=committed SPCTL_FAILPOINT="$point" \
		"$fp" apply "$T/new.json" --table tb >"$T/out" 2>&1 &
	job=$!
	eventually is_stopped
	gw nft delete element inet tb to4 '{ tcp . 9001 }'
	kill -CONT "$job"
	code=0
	wait "$job" || code=$?
	[[ $code == 137 ]] || { [[ $point == none && $code == 3 ]] || fail "exit $code with $point"; }
	expect_match "$(tables)" '^table inet t[ab] $' "killed at $point"
	if [[ $point == put_back_settings ]]; then
		apply old --table ta # nothing was put back: as after any kill behind the commit
	fi
	is_old "put back, $point"
	clean "put back, $point"
done

# What an older spctl left, killed between the two: a second table of this instance.
second() {
	gw nft "add table inet $1 { comment \"$mark\" ; }"
	gw nft "add chain inet $1 pre { type nat hook prerouting priority -101 ; }"
	gw nft "add rule inet $1 pre tcp dport 9000 dnat ip to 10.20.0.4:7"
}
apply old --table ta
mark=$(gw nft list table inet ta | sed -n 's/.*comment "\(spctl .*\)"/\1/p' | head -n 1)
second tb
expect_eq "$(tables)" 'table inet ta table inet tb '
expect_exit 0 spctl apply "$T/old.json" --table ta
is_old 'two tables'
second tb
expect_exit 0 spctl apply "$T/new.json" --table tb
expect_eq "$(tables)" 'table inet tb ' 'moved to the name of a second table'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
second tc
clean 'two tables'
