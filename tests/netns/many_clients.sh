#!/bin/bash
# 100 000 clients: what the kernel keeps of them is bounded, a full set lets in, and it empties again.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit ipv6
lab_up
serve a A -t '*:7000'
ip -n cl route add local 20.0.0.0/6 dev lo
ip -n cl route add local fd99:1::/32 dev lo
ip -n gw route add 20.0.0.0/6 via 10.10.0.2
ip -n gw route add fd99:1::/32 via fd10::2
spray() { expect_match "$(cl "$LAB_TOOLS/spray" "$@")" ' sent$'; }
slab_kb() { awk '$1 == "Slab:" { print $2 }' /proc/meminfo; }
size_is() { [[ $(set_size "$1") == "$2" ]]; }
full=65536
# full_sets SET...: those, and no others, are what status warns of.
full_sets() {
	local set text=''
	expect_exit 0 spctl status --json
	expect_eq "$(jq -r '.warnings[].message | select(test("is full")) | split(" ")[2]' <<<"$out" | sort | paste -sd' ')" \
		"$*" 'full sets in --json'
	expect_exit 0 spctl status
	for set; do
		text+="warning: the set $set is full: what comes anew is let in, and neither limited nor counted by it"$'\n'
	done
	expect_eq "$(sed -n '/is full/s/^.*warning: /warning: /p' <<<"$err" | sort)" "${text%$'\n'}" 'full sets in the text'
}

# Nobody gets beyond the route's own limit, so the flood leaves no conntrack entries that would count here.
apply_config <<'E'
{"maxConnectionsPerIP":20,"connectionRateLimitPerMinute":3,"routes":[
 {"name":"shut","match":{"ports":9000,"transport":"udp"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnections":1}},
 {"name":"open","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}}]}
E
gw sh -c 'cd /proc/sys/net/netfilter && echo 600 >nf_conntrack_udp_timeout && echo 600 >nf_conntrack_udp_timeout_stream'
hold one gw udp 127.0.0.1:9000 # takes the only place; the gateway asks for nothing else
hold_say one hi
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001 -s 20.0.0.7 # a client that is there before the flood

spray 10.10.0.1:9000 -s 21.0.0.0 -n $((full / 2))
(($(set_size rate3_4) > full / 3)) || fail 'half of the clients are not there'
full_sets
before=$(slab_kb)
spray 10.10.0.1:9000 -s 21.0.0.0 -n 100000
expect_eq "$(set_size rate3_4)" $full 'clients in the rate set'
(($(set_size conn20_4) <= full)) || fail 'the set of connections is not bounded'
after=$(slab_kb)
spray 10.10.0.1:9000 -s 22.0.0.0 -n 100000
expect_eq "$(set_size rate3_4)" $full 'clients in the rate set after 200 000'
again=$(slab_kb)
echo "slab: $before kB, $after kB with 100 000 clients, $again kB with 200 000"
((after - before < 300000 && again - after < 100000)) || fail "slab grew: $before, $after, $again kB"

# Full: who is in there is limited as ever, who is new is let in, and not limited by a minute.
expect_match "$(probe tcp 10.10.0.1:9001 -s 20.0.0.7 -n 12 --tally | sort | paste -sd' ')" '^A [1-5] refused [0-9]+$'
expect_eq "$(probe tcp 10.10.0.1:9001 -n 12 --tally)" 'A 12'
EVENTUALLY=30
size_under() { (($(set_size "$1") < $2)); }
eventually size_under conn20_4 1000 # those of the flood were refused, and go
full_sets rate3_4

# IPv6: each /64 is one.
spray '[fd10::1]:9000' -s fd99:1:: -n 70000
expect_eq "$(set_size rate3_6)" $full '/64s in the rate set'
spray '[fd10::1]:9000' -s fd99:1::1 -n 1000

# Flows that are gone leave nothing in the sets of connections.
eventually size_is conn20_6 0
expect_exit 0 spctl status
expect_match "$err" 'the set rate3_6 is full'
gw sh -c 'echo 2 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout'
spray 10.10.0.1:9001 -s 23.0.0.0 -n 3000
(($(set_size conn20_4) >= 2000)) || fail "$(set_size conn20_4) clients with a flow, not 3000"
hold_close one
gw conntrack -D -p udp --orig-port-dst 9000 >/dev/null 2>&1
eventually size_is conn20_4 0
eventually size_is route_max1 0
expect_exit 0 spctl down
