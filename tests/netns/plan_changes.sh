#!/bin/bash
# plan: one line for each route that comes, goes or changes against what is live; it changes nothing.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
cp "$SPCTL" "$T/spctl-copy"
chmod 0755 "$T" "$T/spctl-copy"

config old <<'CONFIG'
{"routes":[
 {"name":"same","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"moved","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"gone","match":{"ports":9002,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"routes":[
 {"name":"came","match":{"ports":"9100-9200"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":"preserve"}]}},
 {"name":"moved","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"same","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
chmod 0644 "$T"/*.json

expect_exit 0 spctl plan "$T/old.json"
expect_match "$out" 'nothing is applied yet'
expect_eq "$(grep -c '^+ ' <<<"$out")" 3 'routes that come'
[[ ! -e $T/state && ! -e $T/run ]] || fail 'plan made directories'

apply old
everything() {
	gw nft -a list ruleset
	sysctls
	(cd "$T" && find state run -type f -exec sha256sum {} + | sort)
	gw conntrack -L 2>/dev/null | sed 's/ [0-9]* ESTABLISHED//'
}
before=$(everything)

expect_exit 0 spctl plan "$T/old.json"
expect_match "$out" 'change against generation 1'
expect_match "$out" 'no route changes'
expect_no_match "$out" $'\n[+~-] '

expect_exit 0 spctl plan "$T/new.json"
expect_eq "$(grep -E '^[+~-] ' <<<"$out" | sed 's/:.*//')" $'+ came\n- gone\n~ moved' 'the changes'
expect_match "$out" '\+ came: tcp/9100-9200 -> fd20::2'
expect_match "$out" '- gone: udp/9002 -> 10\.20\.0\.2:7000'
expect_match "$out" $'~ moved: tcp/9001 -> 10\\.20\\.0\\.2:7000\n +becomes tcp/9001 -> 10\\.20\\.0\\.3:7000'
expect_exit 0 spctl plan "$T/new.json" --json
expect_json "$out" '.schema == 1 and .generation == 1 and .drift == false'
expect_json "$out" '[.changes[] | .op + .route] | sort == ["+came","-gone","~moved"]'
expect_json "$out" '.changes[] | select(.route == "moved") | .old != .new'
expect_json "$out" '[.routes[] | .name] == ["came","moved","same"]'
expect_eq "$(everything)" "$before" 'what plan left'

# Lists and limits are changes like others: of a route, and of all.
sed 's/"port":7000}\]}}/"port":7000}]},"security":{"ipBlockList":["10.10.0.66"],"maxConnections":5}}/; s/{"routes"/{"maxConnectionsPerIP":7,"routes"/' \
	"$T/old.json" >"$T/strict.json"
expect_exit 0 spctl plan "$T/strict.json"
expect_match "$out" $'~ limits: 100/client \\(default\\), 300/min \\(default\\)\n +becomes 7/client, 300/min \\(default\\)'
expect_match "$out" $'~ same: tcp/9000 -> 10.20.0.2:7000\n +becomes tcp/9000 -> 10.20.0.2:7000, block 10.10.0.66, 5 at once'
expect_match "$out" 'same +nftables .*IPv4, block 1, 5 at once'
expect_exit 0 spctl plan "$T/strict.json" --json
expect_json "$out" '.limits == {"connectionsPerClient":7,"perMinute":300,"default":false}'
expect_json "$out" '.routes[0].security | .blockRanges == 1 and .connections == 5 and .perMinute == 0'
sed 's/10\.10\.0\.66/10.10.0.67/' "$T/strict.json" >"$T/other.json"

# dry run: the kernel is asked, nothing changes.
expect_exit 0 spctl apply "$T/new.json" --dry-run
expect_match "$out" 'dry run'
expect_eq "$(everything)" "$before" 'what the dry run left'

# Without root: the routes, and why there is no more.
expect_exit 0 lab_in gw setpriv --reuid=65000 --regid=65000 --clear-groups --inh-caps=-all \
	"$T/spctl-copy" plan "$T/new.json"
expect_match "$out" $'\ncame +nftables +tcp/9100-9200'
expect_no_match "$out" '- gone'
expect_exit 0 lab_in gw setpriv --reuid=65000 --regid=65000 --clear-groups --inh-caps=-all \
	"$T/spctl-copy" plan "$T/new.json" --json
expect_json "$out" '.schema == 1 and (.routes | length) == 3'
expect_eq "$(everything)" "$before" 'what plan without root left'

# One list against another of the same length.
apply strict
expect_exit 0 spctl plan "$T/strict.json"
expect_match "$out" 'no route changes'
expect_exit 0 spctl plan "$T/other.json"
expect_match "$out" $'block 10.10.0.66, 5 at once\n +becomes .*block 10.10.0.67, 5 at once'
apply old

gw nft flush ruleset
expect_exit 0 spctl plan "$T/old.json"
expect_match "$out" 'generation [0-9]+ says: .spctl apply. repairs it'
apply old
expect_exit 0 spctl down
