#!/bin/bash
# Taking back what waits for confirmation: nothing that is not needed for it may keep it from
# happening, and nothing that the generation turned on stays on.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
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
