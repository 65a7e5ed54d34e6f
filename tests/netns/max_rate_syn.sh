#!/bin/bash
# A SYN is no way around maxRate: neither with data behind it nor sent again and again. The first one
# of a connection passes all the same (refusals_apart.sh says what for).
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit
lab_up
serve a A -t '*:7000'
serve gw G -t '*:7500'
# The client's kernel knows nothing of these connections and must not end them.
cl nft add table inet quiet
cl nft add chain inet quiet out '{ type filter hook output priority 0; }'
cl nft add rule inet quiet out tcp flags rst drop

# 8 kbit/s = 1000 bytes a second, and 65536 more at once; what is behind the limit is counted.
config routes <<'JSON'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
{"name":"away","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"maxRate":"8kbps"}}},
{"name":"here","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.10.0.1","port":7500}],"nftables":{"maxRate":"8kbps"}}}]}
JSON
count_of() { spctl status --json | jq --arg r "$1" --arg f "$2" '.routes[] | select(.name == $r) | .[$f]'; }
# passed ROUTE PORT SYNS-ARG...: bytes of them that passed. A full bucket each time.
passed() {
	local route=$1 port=$2 before
	shift 2
	spctl down -q
	apply routes
	probe tcp "10.10.0.1:$port" >/dev/null # neighbours are known before anything is measured
	before=$(count_of "$route" bytesIn)
	cl "$LAB_TOOLS/syns" "10.10.0.1:$port" "$@" >/dev/null
	echo $(($(count_of "$route" bytesIn) - before))
}
# A few seconds' worth of waiting included, and never nothing at all.
within() { (($2 >= 40000 && $2 <= 75000)) || fail "$1: $2 bytes passed, not 40000 to 75000"; }

within 'SYNs with data' "$(passed away 9000 -s 10.10.0.2:5555 -n 500 -m 1400)"
within 'to a target on the gateway' "$(passed here 9001 -s 10.10.0.2:5555 -n 500 -m 1400)"
within 'one bare SYN many times' "$(passed away 9000 -s 10.10.0.2:5556 -n 5000)"
within 'the same to the gateway' "$(passed here 9001 -s 10.10.0.2:5556 -n 5000)"

# With the bucket as good as empty a connection's first SYN passes, once.
passed away 9000 -s 10.10.0.2:5557 -n 500 -m 1400 >/dev/null
before=$(count_of away total)
one_more() { (($(count_of away total) == before + 1)); }
cl "$LAB_TOOLS/syns" 10.10.0.1:9000 -s 10.10.0.2:5558 -n 1 >/dev/null
eventually one_more
expect_exit 0 spctl down
