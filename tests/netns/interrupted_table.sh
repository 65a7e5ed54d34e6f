#!/bin/bash
# A first apply to a table of another name, killed before its routes: what it left is found and removed.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
fp=${SPCTL_FP:-$O-fp/spctl}
[[ -x $fp ]] || skip "no build with FAILPOINTS=1 at $fp"
lab_up
serve a A -t '*:7000'
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
for point in guarded sysctls pending; do
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" apply "$T/one.json" --table foo
	expect_eq "$code" 137 "fail point $point"
	expect_exit 1 spctl status
	expect_match "$out" 'are left'
	expect_exit 0 spctl down
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after down, $point"
	expect_eq "$(sysctls)" "$sys" "sysctls after down, $point"
	expect_exit 0 spctl status

	# Or the next apply, under whatever name, takes it over.
	run lab_in gw env SPCTL_FAILPOINT="$point" "$fp" apply "$T/one.json" --table foo
	apply one
	expect_no_table foo
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_exit 0 spctl down
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after apply and down, $point"
	expect_eq "$(sysctls)" "$sys" "sysctls after apply and down, $point"
done
