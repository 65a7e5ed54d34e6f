#!/bin/bash
# A table of our name that somebody else made: a clear error, and it stays as it is.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
gw nft -f - <<'EOF'
table inet spctl {
	chain mine {
		type filter hook input priority 0; policy accept;
		tcp dport 4711 drop
	}
}
EOF
before=$(gw nft -a list ruleset)
theirs=$(gw nft list table inet spctl)
sys=$(sysctls)
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_exit 1 spctl apply "$T/one.json"
expect_match "$err" 'spctl'
expect_match "$err" '--table|tableName' 'the way out'
expect_eq "$(gw nft -a list ruleset)" "$before" 'the ruleset'
expect_eq "$(sysctls)" "$sys" sysctls
run spctl down
expect_eq "$(gw nft -a list ruleset)" "$before" 'the ruleset after down'

# The way out works, and the two live side by side.
expect_exit 0 spctl apply "$T/one.json" --table spctl_two
expect_table spctl_two
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
expect_no_table spctl_two
expect_eq "$(gw nft list table inet spctl)" "$theirs" 'their table at the end'
