#!/bin/bash
# Without root: check and plan work, the others say what they need. Nothing changes.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
cp "$SPCTL" "$T/spctl-copy"
chmod 0755 "$T" "$T/spctl-copy"
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
chmod 0644 "$T/one.json"
nobody() {
	lab_in gw setpriv --reuid=65000 --regid=65000 --clear-groups --inh-caps=-all "$T/spctl-copy" "$@"
}
before=$(sysctls)

expect_exit 0 nobody check "$T/one.json"
expect_exit 0 nobody plan "$T/one.json"
expect_match "$out" 'nftables'
expect_exit 0 nobody version
expect_exit 0 nobody schema
expect_json "$out" 'type == "object"'
expect_exit 1 nobody apply "$T/one.json"
expect_match "$err" 'root|CAP_NET_ADMIN|permitted|privilege'
expect_no_table
expect_eq "$(sysctls)" "$before" sysctls
[[ ! -e $T/state && ! -e $T/run ]] || fail "directories were made"

# What root applied, nobody takes down.
apply one
rules=$(gw nft list ruleset)
expect_exit 1 nobody down
expect_match "$err" 'root|CAP_NET_ADMIN|permitted|denied|privilege'
expect_exit 1 nobody apply "$T/one.json"
expect_eq "$(gw nft list ruleset)" "$rules" 'the ruleset'
expect_exit 0 spctl status
expect_exit 0 spctl down
