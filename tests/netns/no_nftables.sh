#!/bin/bash
# On a kernel without nftables every command that needs it says so, and nothing changes.
. "${0%/*}/lib.sh"
lab_up
nonft=$LAB_TOOLS/nonft
[[ -x $nonft ]] || fail "$nonft is missing: run make tools"
run "$nonft" true
[[ $code != 77 ]] || skip 'this kernel has no seccomp filters'
config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
without() { lab_in gw "$nonft" "$SPCTL" "$@"; }
sys=$(sysctls)

expect_exit 1 without apply "$T/one.json"
expect_match "$err" 'nftables|netfilter'
expect_match "$err" 'protocol not supported|kernel|module'
expect_exit 1 without apply "$T/one.json" --json
expect_json "$out" '.errors[0].message | test("nftables|netfilter")'
expect_exit 1 without apply "$T/one.json" --dry-run
expect_eq "$(sysctls)" "$sys" sysctls
expect_no_table
# What needs no kernel works.
expect_exit 0 without check "$T/one.json"
expect_exit 0 without plan "$T/one.json"
expect_match "$out" 'tcp +nftables'

# Applied once with it; then it is gone: nothing is pretended.
need_kernel nft_fib nft_nat nft_masq
apply one
rules=$(gw nft -s list ruleset)
state=$(cd "$T/state" && find . -type f -exec sha256sum {} + | sort)
for command in status down "apply $T/one.json"; do
	# shellcheck disable=SC2086 # words
	expect_exit 1 without $command
	expect_match "$err" 'nftables|netfilter' "$command"
done
expect_eq "$(gw nft -s list ruleset)" "$rules" 'the ruleset'
expect_eq "$(cd "$T/state" && find . -type f -exec sha256sum {} + | sort)" "$state" STATE
expect_exit 0 spctl status
expect_exit 0 spctl down
