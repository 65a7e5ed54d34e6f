#!/bin/bash
# explain, as root: the way through the kernel's own table, with its counters, as the packets then go.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_redir nft_numgen nft_hash ipv6
lab_up
serve a A -t '*:7000' -u '*:7000' -t '*:7001'
serve b B -t '*:7000' -u '*:7000'
serve gw G -t '*:8080' -t '127.0.0.1:8081'

config routes <<'CONFIG'
{"maxConnectionsPerIP":50,"routes":[
 {"name":"web","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"pool","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000,"weight":2},{"host":"10.20.0.3","port":7000,"weight":1}]}},
 {"name":"hash","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3","fd20::2","fd20::3"],"port":7000}],
  "loadBalancing":{"algorithm":"ip-hash"}}},
 {"name":"few","match":{"ports":9003,"clientIp":["10.10.0.9","10.30.0.0/24"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"rest","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"listed","match":{"ports":9004},"security":{"ipBlockList":["10.10.0.9","10.10.0.64/28"],"ipAllowList":["10.10.0.0/24"],
  "maxConnections":3,"maxConnectionsPerIP":2,"connectionRate":30},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"range","match":{"ports":"7000-7040","address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"preserve"}]}},
 {"name":"here","match":{"ports":9005},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8080}]}},
 {"name":"loop","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8081}]}},
 {"name":"keep","match":{"ports":9007},"action":{"type":"forward","forwardingEngine":"nftables","nftables":{"preserveSourceIP":true},"targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"slow","match":{"ports":9008},"action":{"type":"forward","nftables":{"maxRate":"8mbps"},"targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
config other <<'CONFIG'
{"routes":[{"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG

# ask ARG...: $out is the JSON; $walk the only walk's end in short: "led route port 10.20.0.2:7000*1/1".
ask() {
	run spctl explain --json "$@"
	[[ $code == 0 ]] || fail "explain $*: exit $code"
	expect_json "$out" '.schema == 1 and .kernel.note == null' "explain $*"
	walk=$(jq -r '.kernel.walks[0] | [.verdict, (.reason // empty),
		(if .redirected then "port \(.targets[0].port)" else (.targets[] | "\(.host):\(.port)*\(.share)") end)] | join(" ")' <<<"$out")
}
# step CHAIN WHAT OBJECT KEY RESULT: there is one like that ("" = anything; regular expressions).
step() {
	jq -e --arg c "$1" --arg w "$2" --arg o "$3" --arg k "$4" --arg r "$5" \
		'any(.steps[]; (.chain|test($c)) and (.what|test($w)) and (.object|test($o)) and (.key|test($k)) and (.result|test($r)))' \
		<<<"$out" >/dev/null || fail "no step $*"
}
# counted FILTER: what is counted of the route of the first walk
counted() { jq -r ".kernel.walks[0].counted | $1" <<<"$out"; }

# ---- nothing to walk yet --------------------------------------------------------------------
expect_exit 0 spctl explain "$T/routes.json" --port 9000
expect_match "$out" 'nothing was ever applied'
apply routes
expect_exit 0 spctl explain "$T/other.json" --port 9000
expect_match "$out" 'this file is not what is live'
expect_exit 0 spctl explain "$T/other.json" --port 9000 --json
expect_json "$out" '.steps == [] and .kernel.walks == [] and (.kernel.note | test("not what is live"))'
# The same routes in another spelling are what is live.
jq -c . "$T/routes.json" >"$T/same.json"
ask "$T/same.json" --port 9000 --client 10.10.0.2
expect_eq "$walk" 'led 10.20.0.2:7000*1'
# Who wants the answer alone gets that.
expect_exit 0 spctl explain --port 9000 -q
expect_no_match "$out" 'in the kernel'
expect_exit 0 gw setpriv --reuid 65534 --clear-groups "$SPCTL" explain /dev/stdin --port 9000 <"$T/routes.json"
expect_match "$out" '^route: +web .*as root, explain also shows'

# ---- where packets go, and what is counted --------------------------------------------------
for proto in tcp udp; do
	ask --port 9000 --proto "$proto" --client 10.10.0.2 --address 10.10.0.1
	expect_eq "$walk" 'led 10.20.0.2:7000*1'
	step pre address fib 10.10.0.1 '^local$'
	step 'dec4|rest4' lookup 'map id4' "$proto . 9000" '"web"'
	step plain4 lookup 'map to4' "$proto . 9000" '10.20.0.2 . 7000'
	step post masquerade '' '' ''
	step '' setting net.ipv4.ip_forward '' 1
	expect_answer 'A|10.20.0.1|hi' "$proto" 10.10.0.1:9000
done
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9000'
ask --port 9000 --client fd10::2
expect_eq "$walk" 'led fd20::2:7000*1'
step lim6 connections 'set conn50_6' 'fd10::/64' '(at most [0-9]+|nobody) counted, 50 may be'
expect_eq "$(counted .new)" 3
# The label of the IPv6 target, and of no other.
expect_eq "$(jq -r '.steps[] | select(.object == "set new") | .counter.packets' <<<"$out")" 1
for _ in 1 2 3 4 5; do expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000; done
ask --port 9000 --client 10.10.0.2
new=$(counted .new)
expect_eq "$new" 8
nft_sum() { # SET ROUTE-ID: what nft says
	gw nft -j list set inet spctl "$1" | jq --arg id "$2" '[.nftables[].set?.elem[]?.elem | select(.val | tostring | startswith($id)) | .counter.packets] | add // 0'
}
expect_eq "$(nft_sum new 100:)" "$new" 'set new'
expect_eq "$(nft_sum up 100:)" "$(counted .up.packets)" 'set up'
expect_eq "$(nft_sum down 100:)" "$(counted .down.packets)" 'set down'
expect_eq "$(counted '.up.packets > 0 and .down.bytes > 0')" true

# Both families, where the question leaves it open.
ask --port 9000
expect_json "$out" '[.kernel.walks[].family] == [4, 6] and [.kernel.walks[].verdict] == ["led", "led"]'

# ---- several targets: the shares, and who counts how many ---------------------------------------
for i in 1 2 3 4 5 6; do probe tcp 10.10.0.1:9001 >>"$T/pool"; done
ask --port 9001 --client 10.10.0.2
expect_eq "$walk" 'led 10.20.0.2:7000*2 10.20.0.3:7000*1'
expect_json "$out" '.kernel.walks[0].shares == 3'
for who in A:10.20.0.2 B:10.20.0.3; do
	expect_eq "$(jq -r --arg t "${who#*:} . 7000" '.steps[] | select(.what == "balance" and .result == $t) | .counter.packets' <<<"$out")" \
		"$(grep -c "^${who%:*}|" "$T/pool")" "$who"
done
# The hash of the client: every client finds the target that explain names.
for client in 10.10.0.2 10.10.0.3 10.10.0.9 10.10.0.66 10.30.0.2 fd10::2 fd10::3 fd10::9 fd10::66 fd30::2; do
	ask --port 9002 --client "$client"
	ns=cl to=10.10.0.1:9002
	[[ $client == *30* ]] && ns=c2
	[[ $client == fd* ]] && to='[fd10::1]:9002'
	case $walk in
	'led 10.20.0.2:7000*1' | 'led fd20::2:7000*1') want=A ;;
	'led 10.20.0.3:7000*1' | 'led fd20::3:7000*1') want=B ;;
	*) fail "hash of $client: $walk" ;;
	esac
	got=$(probe_in "$ns" tcp "$to" -s "$client")
	expect_eq "${got%%|*}" "$want" "hash of $client"
done
ask --port 9002 --address 10.10.0.1
expect_json "$out" '.kernel.walks[0] | .dependsOnClient and .shares == 1024 and (.targets | length) == 2'

# ---- clients, lists, limits ---------------------------------------------------------------------
ask --port 9003 --address 10.10.0.1
expect_eq "$walk" 'open'
step '^c' lookup '^map c' 'each client' 'depends on the client: .* to r'
ask --port 9003 --client 10.30.0.2
expect_eq "$walk" 'led 10.20.0.2:7000*1'
step '^c' lookup '^map c' 10.30.0.2 '10.30.0.0/24: chain r'
ask --port 9003 --client 10.10.0.2
expect_eq "$walk" 'led 10.20.0.3:7000*1'

expect_refused tcp 10.10.0.1:9004 -s 10.10.0.66
expect_refused_in c2 tcp 10.10.0.1:9004
ask --port 9004 --client 10.10.0.66
expect_eq "$walk" 'refused route_ip_blocked'
step '' list 'set block' 10.10.0.66 'in 10.10.0.64/28: refused'
step no_list refuse route_ip_blocked '' 'TCP reset'
expect_eq "$(counted '.refused.route_ip_blocked')" 2
expect_eq "$(counted '.new')" 0
ask --port 9004 --client 10.30.0.2
step '' list 'set allow' 10.30.0.2 'not in it: refused'
hold one cl tcp 10.10.0.1:9004
ask --port 9004 --client 10.10.0.2
expect_eq "$walk" 'led 10.20.0.2:7000*1'
step '' connections 'conn50_4' '10.10.0.2, all routes' 'at most [0-9]+ counted, 50 may be'
step '' connections 'route_conn2_4' '10.10.0.2, route' 'at most 1 counted, 2 may be'
step '' rate 'route_rate30_4' '10.10.0.2, route' 'at most 30 new a minute; it was here within'
ask --port 9004 --client 10.10.0.3
step '' rate 'route_rate30_4' '10.10.0.3, route' 'it was not here'
step '' connections 'route_conn2_4' '10.10.0.3, route' 'nobody counted, 2 may be'
hold two cl tcp 10.10.0.1:9004
ask --port 9004 --client 10.10.0.2
expect_eq "$walk" 'refused ip_limit'
expect_refused tcp 10.10.0.1:9004 # as told
hold three cl tcp 10.10.0.1:9004 -s 10.10.0.3
ask --port 9004 --client 10.10.0.3
expect_eq "$walk" 'refused route_limit'
expect_refused tcp 10.10.0.1:9004 -s 10.10.0.3
ask --port 9004 --client 10.10.0.3
expect_eq "$(counted '[.new, .refused.ip_limit, .refused.route_limit]')" "$(jq . <<<'[3,1,1]')"
hold_close one && hold_close two && hold_close three

# ---- addresses, targets here, kept source, maxRate ----------------------------------------------
ask --port 7001 --client 10.10.0.2 --address 10.10.0.1
expect_eq "$walk" 'led 10.20.0.2:7001*1'
step '^a' lookup '^map a' 7001 '7000-7040: chain r'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:7001
ask --port 7001 --client 10.10.0.2 --address 10.20.0.1
expect_eq "$walk" passes
ask --port 7001 # no address: that of the route
expect_eq "$walk" 'led 10.20.0.2:7001*1'
ask --port 443 --client 10.10.0.2 --address 192.0.2.1
expect_eq "$walk" dropped # spctl turned forwarding on
step pre address fib 192.0.2.1 'not addressed to this host'
ask --port 9999 --client 10.10.0.2 --address 10.10.0.1
expect_eq "$walk" passes
ask --port 9005 --client 10.10.0.2
expect_eq "$walk" 'led port 8080'
step '' redirect redirect '' 'port 8080'
step inp count 'set up' '' ''
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9005
ask --port 9006 --client 10.10.0.2
expect_eq "$walk" 'led 127.0.0.1:8081*1'
step '' setting route_localnet '' 1
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9006
ask --port 9007 --client 10.10.0.2
expect_json "$out" '.kernel.walks[0] | .masqueraded == false and .hairpin == false'
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9007
ask --port 9007 --client 10.20.0.3
expect_json "$out" '.kernel.walks[0] | .masqueraded and .hairpin'
expect_answer_in b 'A|10.20.0.1|hi' tcp 10.20.0.1:9007
ask --port 9008 --client 10.10.0.2
step police maxRate police_up '' '1000000 bytes/s'

# ---- from the gateway itself --------------------------------------------------------------------
ask --port 9000 --local
expect_eq "$walk" 'led 10.20.0.2:7000*1'
step out address fib 127.0.0.1 '^local$'
step '' setting route_localnet '' 1
expect_answer_in gw 'A|10.20.0.1|hi' tcp 127.0.0.1:9000
ask --port 9000 --local --address 10.30.0.1 --proto udp
expect_eq "$walk" 'led 10.20.0.2:7000*1'
step outp count 'set up' '' ''
expect_answer_in gw 'A|10.20.0.1|hi' udp 10.30.0.1:9000
# The list sees the address that the gateway connects from.
ask --port 9004 --local --address 10.10.0.1
step '' list 'set allow' 10.10.0.1 'in 10.10.0.0/24'
ask --port 9004 --local --address 10.30.0.1
expect_eq "$walk" 'refused route_ip_blocked'
expect_refused_in gw tcp 10.30.0.1:9004
ask --port 9000 --local --address ::1
expect_eq "$walk" passes
step out address '::1' '' 'left alone'
expect_json "$out" '.winner | .tier == "relay" and .runs == false and (.reason | test("addressed to ::1"))'
expect_json "$out" '.routes[0].tier == "relay"'
expect_refused_in gw tcp '[::1]:9000'
expect_exit 0 spctl explain --port 9000 --local --address ::1
expect_match "$out" $'\ntier:    relay: addressed to ::1 .*\n +nobody listens there'
ask --port 9000 --local --address fd10::1
expect_eq "$walk" 'led fd20::2:7000*1'
expect_answer_in gw 'A|fd20::1|hi' tcp '[fd10::1]:9000'

# ---- text ---------------------------------------------------------------------------------------
expect_exit 0 spctl explain --port 9001 --client 10.10.0.2 --address 10.10.0.1
expect_match "$out" $'\nin the kernel, table inet spctl, IPv4:\n 1  pre +fib daddr type: 10.10.0.1 -> local\n'
expect_match "$out" 'map target4: 2 of 3 -> 10.20.0.2 . 7000; 4 let in'
expect_match "$out" $'\nso: led to 10.20.0.2:7000 \\(2 of 3\\), 10.20.0.3:7000 \\(1 of 3\\), from this'
expect_match "$out" 'counted of this route so far: 6 let in, [1-9][0-9]* bytes up'
expect_no_match "$out" DRIFT
((0 == $(awk 'length > 100' <<<"$out" | wc -l))) || fail 'a line of more than 100 columns'

# ---- changed by hand: what the kernel then does, and that it is not what the routes say -------------
drifted() { # WALK: of port 9000, and the routes say otherwise
	ask --port 9000 --client 10.10.0.2
	expect_eq "$walk" "$1"
	expect_json "$out" '.kernel.drift and .kernel.walks[0].differs'
	expect_exit 0 spctl explain --port 9000 --client 10.10.0.2
	expect_match "$(tr -s ' \n' ' ' <<<"$out")" "DRIFT: the routes say: led to 10.20.0.2:7000,.* .spctl apply. repairs it"
}
repair() {
	apply routes
	ask --port 9000 --client 10.10.0.2
	expect_eq "$walk" 'led 10.20.0.2:7000*1'
	expect_json "$out" '.kernel.drift == false'
}
gw nft delete element inet spctl to4 '{ 6 . 9000 }'
drifted passes
expect_match "$out" 'map to4: tcp . 9000 -> no element'
expect_refused tcp 10.10.0.1:9000
# On another way it is said, too, but that nothing comes of it.
ask --port 9001 --client 10.10.0.2
expect_json "$out" '.kernel.drift and (.kernel.walks[0].differs | not)'
expect_exit 0 spctl explain --port 9001 --client 10.10.0.2
expect_match "$out" 'DRIFT, not on this way'
repair
gw nft delete element inet spctl to4 '{ 6 . 9000 }'
gw nft add element inet spctl to4 '{ 6 . 9000 : 10.20.0.3 . 7000 }'
drifted 'led 10.20.0.3:7000*1'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
repair
gw nft insert rule inet spctl dec4 tcp dport 9000 drop
drifted unknown
expect_match "$out" 'rule: 1 -> is not spctl'
repair
gw nft flush chain inet spctl post
drifted 'led 10.20.0.2:7000*1'
expect_match "$out" 'chain post -> was changed by hand: [0-9]+ of its [0-9]+ rules (is|are) missing'
repair
gw nft delete element inet spctl svc4 '{ 6 . 9001 }'
ask --port 9001 --client 10.10.0.2
expect_eq "$walk" passes
expect_refused tcp 10.10.0.1:9001
repair
gw sysctl -qw net.ipv4.ip_forward=0
expect_exit 0 spctl explain --port 9000 --client 10.10.0.2
expect_match "$out" 'net.ipv4.ip_forward -> OFF'
expect_match "$out" 'but a setting that it needs is off'
gw sysctl -qw net.ipv4.ip_forward=1
gw nft flush ruleset
drifted passes
expect_match "$out" 'the table is gone'
repair

# ---- what the kernel keeps to itself ------------------------------------------------------------
# Connections from before a limit are not counted: the limit is new, and so is its set.
config limited <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"all","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"maxConnections":2}},
 {"name":"each","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnectionsPerIP":2}},
 {"name":"often","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"connectionRate":2}}]}
CONFIG
jq -c 'del(.routes[].security)' "$T/limited.json" >"$T/unlimited.json"
apply unlimited
for i in 1 2; do
	for port in 9000 9001; do hold "$port.$i" cl tcp "10.10.0.1:$port"; done
done
apply limited
for port in 9000 9001; do
	ask --port "$port" --client 10.10.0.2
	expect_eq "$walk" 'led 10.20.0.2:7000*1'
	expect_json "$out" '.kernel.walks[0].note == null'
	step '' connections '' '' '^nobody counted, 2 may be$'
	hold "$port.3" cl tcp "10.10.0.1:$port" # as told
	# One is counted, and three live: which of them, nobody can say.
	ask --port "$port" --client 10.10.0.2
	step '' connections '' '' '^at most 3 counted, 2 may be: refused$'
	expect_json "$out" '.kernel.walks[0] | .verdict == "refused" and .note == "unless some were open before the limit was"'
	hold_close "$port.1" && hold_close "$port.2"
	hold "$port.4" cl tcp "10.10.0.1:$port"
	expect_refused tcp "10.10.0.1:$port"
	ask --port "$port" --client 10.10.0.2
	expect_match "$walk" '^refused (route|ip)_limit$'
done
expect_exit 0 spctl explain --port 9000 --client 10.10.0.2
expect_match "$out" 'so: refused: route_limit, unless some were open before the limit was'
# Of IPv6, whoever is in the /64.
ask --port 9001 --client fd10::9
step '' connections route_conn2_6 'fd10::/64, route' '^nobody counted, 2 may be$'
hold six cl tcp '[fd10::1]:9001'
ask --port 9001 --client fd10::9
step '' connections route_conn2_6 'fd10::/64, route' '^at most 1 counted, 2 may be$'
hold_close six
# Whether the bucket is empty, nobody can say.
ask --port 9002 --client 10.10.0.2
expect_json "$out" '.kernel.walks[0].note == null'
while [[ $(probe tcp 10.10.0.1:9002) == A* ]]; do :; done
ask --port 9002 --client 10.10.0.2
expect_eq "$walk" 'led 10.20.0.2:7000*1'
expect_json "$out" '.kernel.walks[0].note == "unless rate_limit refuses it"'
expect_exit 0 spctl explain --port 9002 --client 10.10.0.2
expect_match "$(tr -s ' \n' ' ' <<<"$out")" "so: led to 10.20.0.2:7000, from this host's address, unless rate_limit refuses it"
for i in 9000.3 9000.4 9001.3 9001.4; do hold_close "$i"; done
expect_exit 0 spctl down
