#!/bin/bash
# conns: the live connections of this instance's routes, with names, ends, state and counts.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000'

# Nothing applied: nothing to list, and no route has that name.
expect_exit 0 spctl conns
expect_eq "$out" 'no connections'
expect_exit 0 spctl conns --json
expect_json "$out" '. == {"schema":1,"conns":[]}'
expect_exit 2 spctl conns --route web

config first <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"kept","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}}}]}
CONFIG
config second <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"new \"quoted\" näme","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
apply first
expect_exit 0 spctl conns
expect_eq "$out" 'no connections'

# Neither accounting nor time stamps: null and "-".
gw sh -c 'cd /proc/sys/net/netfilter; echo 0 >nf_conntrack_acct; echo 0 >nf_conntrack_timestamp'
hold w4 cl tcp 10.10.0.1:9000 -p 40004
expect_exit 0 spctl conns --json
expect_json "$out" '.schema == 1 and (.conns | length) == 1'
expect_json "$out" '.conns[0] | .route == "web" and .gone == false and .protocol == "tcp" and .tier == "nftables"'
expect_json "$out" '.conns[0].client == {"address":"10.10.0.2","port":40004}'
expect_json "$out" '.conns[0].local == {"address":"10.10.0.1","port":9000}'
expect_json "$out" '.conns[0].target == {"address":"10.20.0.2","port":7000}'
expect_json "$out" '.conns[0].seenAs == {"address":"10.20.0.1","port":40004}'
expect_json "$out" '.conns[0] | .state == "ESTABLISHED" and .expiresSeconds > 400000 and .expiresSeconds <= 432000'
expect_json "$out" '.conns[0] | [.bytesIn, .bytesOut, .packetsIn, .packetsOut, .ageSeconds] == [null, null, null, null, null]'
expect_exit 0 spctl conns
expect_eq "$(head -n 1 <<<"$out" | tr -s ' ')" 'ROUTE PROTO CLIENT LOCAL TARGET STATE LEFT IN/OUT'
expect_match "$out" $'\n''web +tcp +10\.10\.0\.2:40004 +10\.10\.0\.1:9000 +10\.20\.0\.2:7000 +ESTAB +[0-9]+[dh] +-$'

# With them: the bytes and packets that went, in both directions, exactly.
gw sh -c 'cd /proc/sys/net/netfilter; echo 1 >nf_conntrack_acct; echo 1 >nf_conntrack_timestamp'
hold u cl udp 10.10.0.1:9000 -p 40005
expect_hold u 'A|10.20.0.1|0123456789' 0123456789
expect_exit 0 spctl conns --json
# 20 IP + 8 UDP + 11; the answer is "A|10.20.0.1|0123456789" and a newline.
expect_json "$out" '[.conns[] | select(.protocol == "udp")][0] | .client.port == 40005 and .bytesIn == 39 and .bytesOut == 51
	and .packetsIn == 1 and .packetsOut == 1 and .ageSeconds >= 0 and .ageSeconds < 60 and .state == "REPLIED" and .expiresSeconds <= 30'
expect_hold u 'A|10.20.0.1|0123456789' 0123456789
expect_exit 0 spctl conns --json
expect_json "$out" '[.conns[] | select(.protocol == "udp")][0] | .bytesIn == 78 and .packetsOut == 2'
hold k cl tcp 10.10.0.1:9001
hold w6 cl tcp '[fd10::1]:9000'
hold w9 cl tcp 10.10.0.1:9000 -s 10.10.0.9 -p 40001
expect_exit 0 spctl conns
expect_eq "$(head -n 1 <<<"$out" | tr -s ' ')" 'ROUTE PROTO CLIENT LOCAL TARGET STATE LEFT IN/OUT AGE'
# The same order at each look: by route, protocol, client.
expect_eq "$(awk 'NR > 1 { print $1, $2, $3 }' <<<"$out" | sed -E 's/:[0-9]+$//')" 'kept tcp 10.10.0.2
web tcp 10.10.0.2
web tcp 10.10.0.9
web tcp [fd10::2]
web udp 10.10.0.2'
expect_match "$out" 'kept +tcp .* [0-9]+/[0-9]+ +[0-9]+s'

# One route's; a wrong name.
expect_exit 0 spctl conns --route kept --json
expect_json "$out" '[.conns[].route] == ["kept"]'
expect_json "$out" '.conns[0].seenAs.address == "10.10.0.2"'
expect_exit 2 spctl conns --route kepd
expect_match "$err" 'no route is called "kepd", did you mean "kept"\?'
expect_exit 2 spctl conns --route kepd --json
expect_json "$out" '.errors[0].message | test("did you mean")'
expect_exit 2 spctl conns web
expect_match "$err" 'too many arguments'

# What is over is not shown.
hold_close w9
left() { expect_exit 0 spctl conns --route web --json && jq -e '[.conns[].client.address] | index("10.10.0.9") == null' <<<"$out"; }
eventually left
gw conntrack -L 2>/dev/null | grep -q 'src=10.10.0.9 ' || fail 'the entry is gone altogether: nothing was tested'

# A route that is gone keeps its name for those that live on; other flows are not ours.
hold own gw tcp 127.0.0.1:9000
serve gw LOCAL -t '*:9100'
hold foreign cl tcp 10.10.0.1:9100
apply second
hold q cl tcp 10.10.0.1:9002
expect_exit 0 spctl conns --json
expect_json "$out" '[.conns[] | select(.gone)] | length == 1 and .[0].route == "kept" and .[0].local.port == 9001'
expect_json "$out" '[.conns[] | select(.route == "new \"quoted\" näme")] | length == 1'
expect_json "$out" '[.conns[] | select(.local.port == 9100)] == []'
expect_json "$out" '[.conns[] | select(.client.address == "127.0.0.1")] | length == 1'
expect_exit 0 spctl conns --route kept
expect_match "$out" '^kept |'$'\n''kept '
two() { lab_in gw "$SPCTL" "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
sed 's/"kept"/"other"/; s/9000/9200/; s/9001/9201/' "$T/first.json" >"$T/two.json"
expect_exit 0 two apply "$T/two.json"
hold o cl tcp 10.10.0.1:9201
expect_exit 0 two conns --json
expect_json "$out" '[.conns[].route] == ["other"]'
expect_exit 0 spctl conns --json
expect_json "$out" '[.conns[].route] | index("other") == null'
# Where nobody knows the name any more.
rm "$T/state/former-ids"
expect_exit 0 spctl conns
expect_match "$(tail -n 1 <<<"$out")" '^\(gone\) +tcp'
expect_exit 0 spctl conns --json
expect_json "$out" '.conns[-1] | .route == null and .gone'

# 100 columns, whatever the addresses and the names are.
apply second
jq '.routes[0].name = "a-route-whose-name-is-much-longer-than-anybody-would-ever-want-it-to-be"' "$T/second.json" >"$T/long.json"
apply long
gw ip addr add fd10:1111:2222:3333:4444:5555:6666:7771/128 dev lan nodad
cl ip addr add fd10:1111:2222:3333:4444:5555:6666:7772/128 dev eth0 nodad
gw ip route add fd10:1111:2222:3333:4444:5555:6666:7772/128 dev lan
hold long cl tcp '[fd10:1111:2222:3333:4444:5555:6666:7771]:9000' -s fd10:1111:2222:3333:4444:5555:6666:7772 -p 40009
expect_exit 0 spctl conns
expect_match "$out" '\[fd1[0-9a-f:]*\.\.[0-9a-f:]*2\]:40009 +\[fd1[0-9a-f:]*\.\.[0-9a-f:]*1\]:9000'
while read -r line; do
	((${#line} <= 100)) || fail "a line of ${#line} columns: $line"
done <<<"$out"
expect_exit 0 spctl conns --help
expect_match "$out" 'TIME_WAIT'
run lab_in gw setpriv --reuid 65534 --clear-groups --inh-caps=-all "$SPCTL" conns
expect_eq "$code" 1 'without root'
expect_match "$err" 'root'
