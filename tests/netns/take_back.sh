#!/bin/bash
# Taking back what waits for confirmation: nothing that is not needed for it may keep it from
# happening, and nothing that the generation turned on stays on.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
answers() { [[ $(probe tcp "10.10.0.1:$1") == "$2" ]]; }
no_conntrack() { lab_in gw env LD_PRELOAD="$O/tests/preload/netlinkfail.so" CONNTRACKFAIL=1 "$SPCTL" "$@"; }

# Connections cannot be listed: down says so and does nothing, but a take-back to nothing is done.
apply old
expect_exit 1 no_conntrack down
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
expect_exit 0 no_conntrack apply "$T/old.json" --confirm 1 # its timer has no conntrack either
eventually answers 9000 refused
eventually no_timer
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset'
expect_eq "$(sysctls)" "$sys" 'sysctls'
expect_exit 0 spctl apply "$T/old.json" --confirm 600
expect_exit 0 no_conntrack rollback
expect_match "$err" 'warning: connections over the routes that are gone may go on'
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after rollback'
expect_eq "$(sysctls)" "$sys" 'sysctls after rollback'
eventually no_timer

# Settings that the generation turned on go back with it, those of before stay; the same where one
# that waits is replaced, and where the take-back is killed.
config six <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
CONFIG
config local <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
CONFIG
chains() { gw nft -s list chains | sort; } # another table lists them in another order
apply old
old_sys=$(sysctls) old_chains=$(chains)
is_old() {
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_eq "$(sysctls)" "$old_sys" "settings, $1"
	expect_eq "$(chains)" "$old_chains" "chains, $1"
	expect_exit 0 spctl status --json
	expect_json "$out" '.drift == false' "$1"
	eventually no_timer
}
apply six --confirm 600
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
[[ $(sysctls) != "$old_sys" ]] || fail 'no setting was changed'
expect_exit 0 spctl rollback
is_old rollback
apply six --confirm 600
apply local --confirm 1
eventually answers 9000 'A|10.20.0.1|hi'
eventually no_timer
is_old 'two that waited'
# Killed before anything of the generation was noted: the next one takes its settings back, too.
fp=${SPCTL_FP:-$O-fp/spctl}
if [[ -x $fp ]]; then
	run lab_in gw env SPCTL_FAILPOINT=sysctls "$fp" apply "$T/six.json" --confirm 600
	[[ $(sysctls) != "$old_sys" ]] || fail 'no setting was changed before the kill'
	apply six --confirm 600
	expect_exit 0 spctl rollback
	is_old 'settings of an apply that was killed'
fi
# By the number of one that is not what would come back: nothing of what waited stays, either.
old=$(spctl history --json | jq '[.history[] | select(.live)][0].generation')
sed 's/9000/9001/' "$T/old.json" >"$T/other.json"
apply other
apply six --confirm 600
expect_exit 0 spctl rollback "$old"
is_old 'rollback N'
# Nor where nothing was applied before what waits.
expect_exit 0 spctl down
apply six --confirm 600
expect_exit 0 spctl rollback "$old"
is_old 'rollback N, and nothing before'
# It cannot be done: what waits is whole, its settings are still on.
expect_exit 0 spctl apply "$T/six.json" --confirm 600 --table second
gw nft add table inet spctl
six_sys=$(sysctls)
expect_exit 1 spctl rollback
expect_match "$err" 'table "inet spctl" exists'
expect_eq "$(sysctls)" "$six_sys" 'settings after a rollback that failed'
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
gw nft delete table inet spctl
expect_exit 0 spctl rollback
is_old 'rollback at the second attempt'
# What was on before it stays on, and so do the connections that need it.
apply six
hold before cl tcp '[fd10::1]:9006'
apply old
apply local --confirm 600
expect_hold before 'A|fd20::1|one' one
expect_exit 0 spctl rollback
expect_hold before 'A|fd20::1|two' two
hold_close before
expect_exit 0 spctl down
apply old
# Confirmed: what it opened stays until down, as ever.
apply six --confirm 600
expect_exit 0 spctl confirm
six_sys=$(sysctls)
apply old --confirm 600
expect_exit 0 spctl rollback
expect_eq "$(sysctls)" "$six_sys" 'settings of a confirmed generation'
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
expect_exit 0 spctl down
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
if [[ -x $fp ]]; then
	for point in back_decided closed locked guarded sysctls committed live; do
		apply old
		apply six --confirm 600
		run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" rollback
		spctl status >"$T/ignored" 2>&1 || :
		is_old "killed at $point"
	done
	expect_exit 0 spctl down
	expect_eq "$(sysctls)" "$sys" 'sysctls after down'
fi
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
