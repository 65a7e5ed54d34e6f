#!/bin/bash
# Lists in every notation, on every kind of route; who is refused leaves no trace behind the gateway.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq ipv6
need_tool conntrack
lab_up
for ns in a b; do
	serve $ns "${ns^}" -r 7000-7040
	srv $ns nft -f - <<-'E'
		table inet seen {
			chain in {
				type filter hook input priority 0
				th dport 7000-7040 ct state new counter
			}
		}
	E
done
serve gw G -t '*:7500' -u '*:7500'
# The kernel itself holds ICMP back, after six answers to one address.
gw sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit'

# new connections that reached a server
arrived() { srv "$1" nft -j list table inet seen | jq '[.nftables[].rule.expr // empty | .[].counter.packets // empty] | add'; }

apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,
 "defaults":{"security":{"ipBlockList":["10.10.0.66","fd10::66"]}},
 "routes":[
 {"name":"defaults","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"own","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipAllowList":["10.10.0.2-10.10.0.3","10.10.0.66","fd10::2"]}},
 {"name":"empty","match":{"ports":9002,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipAllowList":[],"ipBlockList":[]}},
 {"name":"globs","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipAllowList":["10.*.0.?"],"ipBlockList":["10.30.*.*","10.10.0.3"]}},
 {"name":"mapped","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipAllowList":["::ffff:10.10.0.9"]}},
 {"name":"nobody","match":{"ports":9005,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipBlockList":["*"]}},
 {"name":"everybody","match":{"ports":9006,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"ipAllowList":["*"]}},
 {"name":"pool","match":{"ports":9007,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}},
 {"name":"range","match":{"ports":"9100-9140","transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":"-2100"}]}},
 {"name":"kept","match":{"ports":7001,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"preserve"}],"nftables":{"preserveSourceIP":true}}},
 {"name":"by-client","match":{"ports":9008,"transport":"all","clientIp":["10.10.0.0/25","fd10::/120"]},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"by-address","match":{"ports":9009,"transport":"all","address":["10.10.0.1","fd10::1"]},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"here","match":{"ports":9010,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.10.0.1","fd10::1"],"port":7500}]}}
 ]}
E
served() {
	local who=$1
	shift
	expect_answer "$who|hi" "$@"
}

# Each kind of route: one client is served, the blocked one is refused; both families, both protocols.
before_a=$(arrived a) before_b=$(arrived b) n=0
for proto in tcp udp; do
	for port in 9000 9007 9100 9116 9140 7001 9008 9009 9010; do
		expect_answer refused $proto 10.10.0.1:$port -s 10.10.0.66
		n=$((n + 1))
		[[ $port == 9007 || $port == 7001 ]] && continue
		expect_answer refused $proto "[fd10::1]:$port" -s fd10::66
		n=$((n + 1))
	done
	for ip in 10.10.0.1 '[fd10::1]'; do
		expect_answer refused $proto "$ip:9005"
		n=$((n + 1))
	done
done
expect_eq "$(refused list)" "$n"
expect_eq "$(arrived a) $(arrived b)" "$before_a $before_b" 'new connections at the servers'
expect_eq "$(gw conntrack -L 2>/dev/null | wc -l)" 0 'conntrack entries of the refused'
for proto in tcp udp; do
	for port in 9000 9008 9009 9100 9116 9140; do
		served 'A|10.20.0.1' $proto 10.10.0.1:$port
		served 'A|fd20::1' $proto "[fd10::1]:$port"
	done
	expect_match "$(probe $proto 10.10.0.1:9007)" '^[AB]\|10.20.0.1\|hi$'
	served 'A|10.10.0.2' $proto 10.10.0.1:7001
	served 'G|10.10.0.2' $proto 10.10.0.1:9010
	served 'G|fd10::2' $proto '[fd10::1]:9010'

	# A block of the route's own takes the place of the default one, as a whole.
	served 'A|10.20.0.1' $proto 10.10.0.1:9001
	served 'A|10.20.0.1' $proto 10.10.0.1:9001 -s 10.10.0.3
	served 'A|10.20.0.1' $proto 10.10.0.1:9001 -s 10.10.0.66
	served 'A|fd20::1' $proto '[fd10::1]:9001'
	expect_answer refused $proto 10.10.0.1:9001 -s 10.10.0.9
	expect_answer refused $proto '[fd10::1]:9001' -s fd10::3
	expect_answer_in c2 refused $proto 10.30.0.1:9001
	served 'A|10.20.0.1' $proto 10.10.0.1:9002 -s 10.10.0.66
	served 'A|fd20::1' $proto '[fd10::1]:9002' -s fd10::66
	served 'A|10.20.0.1' $proto 10.10.0.1:9006
	served 'A|fd20::1' $proto '[fd10::1]:9006' -s fd10::66
done
served 'A|10.20.0.1' tcp 10.10.0.1:9003
served 'A|10.20.0.1' tcp 10.10.0.1:9003 -s 10.10.0.9
expect_answer refused tcp 10.10.0.1:9003 -s 10.10.0.3
expect_answer refused tcp 10.10.0.1:9003 -s 10.10.0.66
expect_answer_in c2 refused tcp 10.30.0.1:9003
served 'A|10.20.0.1' tcp 10.10.0.1:9004 -s 10.10.0.9
expect_answer refused tcp 10.10.0.1:9004
# A list of IPv4 alone allows nobody of IPv6.
expect_answer refused tcp '[fd10::1]:9003'
expect_answer refused tcp '[fd10::1]:9004' -s fd10::9

# Connections of the gateway itself: 127.0.0.1 and its own addresses are clients like others.
expect_answer_in gw refused tcp 127.0.0.1:9001
expect_answer_in gw refused tcp 10.10.0.1:9001
expect_none_in gw udp 127.0.0.1:9001
expect_answer_in gw 'A|10.20.0.1|hi' tcp 127.0.0.1:9000

# nft can show all of it, with what the sets hold now.
gw nft list ruleset >/dev/null
gw nft -j list ruleset >/dev/null
expect_exit 0 spctl down
