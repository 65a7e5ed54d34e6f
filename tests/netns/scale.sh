#!/bin/bash
# 20 000 routes: applied, one target changed, taken down. Spots at random carry traffic.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
N=20000

# many PORT: that route leads to B, the others to A.
many() {
	awk -v n="$N" -v b="$1" 'BEGIN {
		print "{\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,\"routes\":["
		for (i = 1; i <= n; i++)
			printf "%s{\"name\":\"r%d\",\"match\":{\"ports\":%d},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"10.20.0.%d\",\"port\":7000}]}}\n", (i > 1 ? "," : ""), i, 10000 + i, (i + 10000 == b ? 3 : 2)
		print "]}"
	}'
}
spot() { echo $((10001 + RANDOM % N)); }
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

many 0 >"$T/many.json"
apply many
expect_match "$out" '20000 routes'
for port in 10001 30000 $(spot) $(spot) $(spot) $(spot); do
	expect_answer 'A|10.20.0.1|hi' tcp "10.10.0.1:$port"
done
expect_refused tcp 10.10.0.1:30001
expect_refused tcp 10.10.0.1:10000
expect_exit 0 spctl status --json
expect_json "$out" '(.routes | length) == 20000'
apply many
expect_match "$out" 'nothing to do'

# Naming routes would mean parsing the live file as well: only for those who ask.
many 17778 >"$T/many.json"
apply many
expect_match "$out" '3 elements added, 3 deleted'
many 0 >"$T/many.json"
apply many -v
expect_match "$out" '~ 1 route '
hold kept cl tcp 10.10.0.1:17777
many 17777 >"$T/many.json"
run spctl apply "$T/many.json" --json
expect_eq "$code" 0 'exit code'
# where it leads, the label that names the target, the generation
expect_json "$out" '.changes.elementsAdded <= 3 and .changes.elementsDeleted <= 3 and .changes.elementsAdded >= 1'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:17777
expect_hold kept 'A|10.20.0.1|old' old
for port in 17776 17778 $(spot); do
	[[ $port == 17777 ]] || expect_answer 'A|10.20.0.1|hi' tcp "10.10.0.1:$port"
done
expect_exit 0 spctl status
expect_match "$out" 'generation 4'

# The same without the image: read back from the kernel element by element.
rm -f "$T/run/image"
apply many
expect_match "$out" 'nothing to do'
hold_close kept
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
