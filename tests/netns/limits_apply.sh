#!/bin/bash
# An apply forgets nobody who is connected, as long as the limit itself stays the same.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

# routes PER_IP RATE TARGET MAX EXTRA: EXTRA stands before the limited routes, "x," or empty
routes() {
	cat <<-E
		{"maxConnectionsPerIP":$1,"connectionRateLimitPerMinute":$2,"routes":[$5
		{"name":"first","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]},"security":{"maxConnections":$4,"maxConnectionsPerIP":1}},
		{"name":"lim","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"$3","port":7000}]},"security":{"maxConnections":$4,"maxConnectionsPerIP":1}},
		{"name":"slow","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":"$3","port":7000}]},"security":{"connectionRate":1}},
		{"name":"free","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	E
}
extra='{"name":"extra","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"maxConnections":2,"maxConnectionsPerIP":1}},'
without_first() { jq 'del(.routes[] | select(.name == "first"))'; }

# refused_by KIND PROBE-ARG...
refused_by() {
	local kind=$1 before
	shift
	before=$(refused "$kind")
	expect_answer refused "$@"
	expect_eq "$(refused "$kind")" $((before + 1)) "refused because of $kind"
}

# still_counted WHAT: two places are taken, .2 has its one, .9 had its token, .2 has its three over all
still_counted() {
	local name
	refused_by ip tcp 10.10.0.1:9001
	refused_by route tcp 10.10.0.1:9001 -s 10.10.0.66
	refused_by rate tcp 10.10.0.1:9004 -s 10.10.0.9
	refused_by ip tcp 10.10.0.1:9002
	for name in a b c d; do
		expect_hold $name "${answers[$name]}" hi
	done
	echo "ok: $1"
	((SECONDS - token_s < 25)) || EVENTUALLY=60 eventually take_token
}
# The one token of 9004 comes back after a minute only: a slow machine takes it again in time.
take_token() {
	[[ $(probe tcp 10.10.0.1:9004 -s 10.10.0.9) == ?'|10.20.0.1|hi' ]] && token_s=$SECONDS
}
routes 3 0 10.20.0.2 2 '' | apply_config
declare -A answers=([a]='A|10.20.0.1|hi' [b]='A|10.20.0.1|hi' [c]='A|10.20.0.1|hi' [d]='A|10.20.0.1|hi')
take_token
eventually try_hold a cl tcp 10.10.0.1:9001
hold b cl tcp 10.10.0.1:9001 -s 10.10.0.3
hold c cl tcp 10.10.0.1:9002
hold d cl tcp 10.10.0.1:9002
still_counted 'at first'

apply routes
still_counted 'nothing changed'
routes 3 0 10.20.0.3 2 '' | apply_config
still_counted 'another target'
routes 3 0 10.20.0.3 2 "$extra" | apply_config
still_counted 'a route more, which is now the first of that policy'
routes 3 0 10.20.0.3 2 '' | without_first | apply_config
still_counted 'two routes less'
routes 3 500 10.20.0.3 2 '' | apply_config
still_counted 'another limit, a route more'
gw nft list ruleset >/dev/null
gw nft -j list ruleset >/dev/null

# Read from the kernel alone, the table is what was wanted.
rm "$SPCTL_RUN_DIR/image"
expect_exit 0 spctl status --json
expect_json "$out" '.drift == false'
apply routes
expect_match "$out" '^nothing to do' 'an apply without image'
still_counted 'without image'

# A limit that is another one counts anew: who is connected already is not seen.
routes 4 500 10.20.0.3 3 '' | apply_config
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001 -s 10.10.0.66
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9002
expect_answer refused tcp 10.10.0.1:9001 -s 10.10.0.3
for name in a b c d; do
	expect_hold $name "${answers[$name]}" hi
done

# What others do to it is seen, and put right.
apply_config <<'E'
{"routes":[{"name":"l","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"maxRate":"10mbps"}},"security":{"ipBlockList":["10.10.0.66"]}}]}
E
for change in 'delete element inet spctl block0_4 { 10.10.0.66 }' 'flush chain inet spctl lim4' \
	'flush set inet spctl police_up' 'flush chain inet spctl no_list'; do
	change=${change/block0/$(gw nft -j list sets | jq -r '.nftables[].set.name // empty' | grep -o '^block[0-9]*')}
	gw nft "$change"
	expect_exit 1 spctl status --json
	expect_json "$out" '.drift == true' "$change"
	apply routes
	expect_exit 0 spctl status
	expect_answer refused tcp 10.10.0.1:9001 -s 10.10.0.66
done
expect_exit 0 spctl down
