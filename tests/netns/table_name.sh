#!/bin/bash
# The table's name: from the config, from --table; another one moves everything at once.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

config plain <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config named <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"nftables","nftables":{"tableName":"edge"},"targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config differ <<'CONFIG'
{"routes":[{"name":"one","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"nftables","nftables":{"tableName":"edge"},"targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"two","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"nftables","nftables":{"tableName":"other"},"targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sys=$(sysctls)

apply plain
expect_table spctl
hold kept cl tcp 10.10.0.1:9000

# Every commit between here and the next apply is seen: one transaction, never none or both.
lab_start gw "$T/monitor.log" nft monitor tables
eventually test -e "$T/monitor.log"
apply named
expect_table edge
expect_no_table spctl
expect_hold kept 'A|10.20.0.1|one' one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
expect_match "$out" 'table inet edge'

# --table beats the config.
apply named --table by_hand
expect_table by_hand
expect_no_table edge
expect_hold kept 'A|10.20.0.1|two' two
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
apply named --table by_hand
expect_match "$out" 'nothing to do'

# A name that somebody else has is refused, and nothing moves.
gw nft add table inet taken
gw nft add chain inet taken c
rules=$(rules_of)
expect_exit 1 spctl apply "$T/plain.json" --table taken
expect_match "$err" 'table "inet taken" exists'
expect_eq "$(rules_of)" "$rules" 'the ruleset'
expect_exit 0 spctl status
expect_hold kept 'A|10.20.0.1|three' three
gw nft delete table inet taken

# Routes that do not agree, and names that are none.
expect_exit 2 spctl apply "$T/differ.json"
expect_match "$err" 'differ\.json:2:[0-9]+: error: .*tableName'
for name in 'a b' '' 'x/y' "$(printf 'x%.0s' {1..40})"; do
	expect_exit 2 spctl apply "$T/plain.json" --table "$name"
done
expect_hold kept 'A|10.20.0.1|four' four

# Back to the default, then away: nothing of any name stays.
apply plain
expect_table spctl
expect_no_table by_hand
expect_hold kept 'A|10.20.0.1|five' five
hold_close kept
expect_exit 0 spctl down
expect_eq "$(gw nft list tables)" '' 'tables after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'

# The first apply of all finds its name taken.
gw nft add table inet spctl
expect_exit 1 spctl apply "$T/plain.json"
expect_match "$err" 'table "inet spctl" exists and was not made by spctl'
expect_match "$err" '--table'
expect_eq "$(gw nft list tables)" 'table inet spctl'
expect_eq "$(sysctls)" "$sys" 'sysctls after a refusal'
apply plain --table free
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
expect_eq "$(gw nft list tables)" 'table inet spctl'

# A name that cannot be one is said by every command, wherever it comes from.
expect_exit 2 spctl status --table 'a b'
expect_match "$err" '"a b" is no table name'
expect_exit 2 spctl down --table 'a b'
export SPCTL_TABLE='a;b'
expect_exit 2 spctl status
expect_match "$err" '"a;b" is no table name'
unset SPCTL_TABLE
expect_exit 0 spctl status --json
expect_json "$out" '.table == "spctl"'
