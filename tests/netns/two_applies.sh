#!/bin/bash
# Applies at the same time run one after another; one that cannot wait long enough says so.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

config to_a <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/to_a.json" >"$T/to_b.json"

pids=()
for i in 1 2 3 4 5 6 7 8; do
	name=to_a
	((i % 2)) || name=to_b
	lab_start gw "$T/apply.$i.log" "$SPCTL" apply "$T/$name.json" --timeout 30
	pids+=("$lab_pid")
done
for i in "${!pids[@]}"; do
	rc=0
	wait "${pids[i]}" || rc=$?
	[[ $rc == 0 ]] || fail "apply $((i + 1)) of 8: exit $rc"
done
# Whoever was last: one whole state, not a mixture.
expect_exit 0 spctl status
first=$(probe tcp 10.10.0.1:9000)
expect_match "$first" '^[AB]\|'
expect_eq "$(probe tcp 10.10.0.1:9001)" "$first" 'the two ports'

# The lock is held by somebody who does not let go.
lock=$T/state/lock
[[ -e $lock ]] || fail "$lock does not exist"
lab_start gw "$T/lock.log" flock -o "$lock" sleep 60
holder=$lab_pid
locked() { ! flock -n "$lock" true; }
eventually locked
before=$(rules_of)
expect_exit 4 spctl apply "$T/to_a.json" --timeout 1
expect_match "$err" 'lock|wait'
expect_eq "$(rules_of)" "$before" 'the ruleset'
expect_exit 0 spctl status
lab_stop "$holder"
unlocked() { flock -n "$lock" true; }
EVENTUALLY=3 eventually unlocked
apply to_a
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
