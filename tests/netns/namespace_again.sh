#!/bin/bash
# A namespace that is made anew under the old one's name and number: nothing that is remembered of
# the old one is believed.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
dirs=(--state-dir "$T/state-again" --run-dir "$T/run-again")
for ((i = 0; i < 3; i++)); do
	ip netns add again
	run ip netns exec again "$SPCTL" apply "$T/one.json" "${dirs[@]}"
	if ((i == 0)); then
		expect_eq "$code" 0 'the first apply'
	else
		expect_eq "$code" 2 'apply in another namespace'
		expect_match "$err" 'another network namespace'
	fi
	# So many commits that the counter of the kernel's ruleset may meet the remembered one.
	ip netns exec again nft add table inet other
	run ip netns exec again "$SPCTL" status "${dirs[@]}"
	((i == 0)) || expect_eq "$code" 2 'status in another namespace'
	ip netns del again
done
