#!/bin/bash
# RUN and STATE belong to one network namespace: used from another, every command stops.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

apply_config <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
for command in "apply $T/routes.json" status down; do
	# shellcheck disable=SC2086 # words
	expect_exit 2 lab_in c2 "$SPCTL" $command
	expect_match "$err" 'network namespace' "$command"
	expect_match "$err" '--run-dir|--state-dir' "$command"
done
expect_eq "$(lab_in c2 nft list ruleset)" '' 'the other namespace'
expect_exit 0 spctl status
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# With directories of its own, the other namespace may have its own instance.
expect_exit 0 lab_in c2 "$SPCTL" apply "$T/routes.json" --state-dir "$T/state2" --run-dir "$T/run2"
expect_exit 0 lab_in c2 "$SPCTL" status --state-dir "$T/state2" --run-dir "$T/run2"
expect_exit 0 lab_in c2 "$SPCTL" down --state-dir "$T/state2" --run-dir "$T/run2"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
