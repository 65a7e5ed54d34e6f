#!/bin/bash
# UDP flows end when their route moves off their port, also where the apply was killed before it could
# end them, and a new route never inherits the number, and so the flows, of another.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
fp=${SPCTL_FP:-$O-fp/spctl}
[[ -x $fp ]] || skip "no build with FAILPOINTS=1 at $fp"
lab_up
serve a A -u '*:7000'
serve b B -u '*:7000'
serve gw L -u '[::1]:5301'
routes() { # NAME:PORT:HOST...
	local sep='' r
	printf '{"routes":['
	for r; do
		IFS=: read -r name port host <<<"$r"
		printf '%s{"name":"%s","match":{"ports":%s,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.%s","port":7000}]}}' \
			"$sep" "$name" "$port" "$host"
		sep=,
	done
	printf ']}'
}
says() { # NAME WANTED: the held flow gets that answer
	hold_say "$1" x && [[ $answer == "$2" ]]
}
ends() { hold_say "$1" x && [[ $answer != [AB]\|* ]]; }

# Ports swapped: the flow follows its port, not its route.
routes a:5300:2 b:5301:3 >"$T/ab.json"
routes a:5301:2 b:5300:3 >"$T/ba.json"
apply ab
hold f cl udp 10.10.0.1:5300 -w 300
expect_hold f 'A|10.20.0.1|one' one
apply ba
EVENTUALLY=5 eventually says f 'B|10.20.0.1|x'
# The port goes, its route stays on another one.
routes b:5302:3 >"$T/b.json"
apply b
EVENTUALLY=5 eventually ends f
hold_close f

# Killed between the transaction and the end of the flows: the next apply ends them.
routes a:5300:2 >"$T/a2.json"
routes a:5300:3 >"$T/a3.json"
apply a2
hold g cl udp 10.10.0.1:5300 -w 300
expect_hold g 'A|10.20.0.1|one' one
run lab_in gw env SPCTL_FAILPOINT=image "$fp" apply "$T/a3.json"
expect_eq "$code" 137
apply a3
EVENTUALLY=5 eventually says g 'B|10.20.0.1|x'
hold_close g

# Killed right after the transaction: the number of a route that is new there is not given again.
routes a:5300:2 x:5400:2 >"$T/ax.json"
routes a:5300:2 y:5500:3 >"$T/ay.json"
run lab_in gw env SPCTL_FAILPOINT=committed "$fp" apply "$T/ax.json"
expect_eq "$code" 137
hold h cl udp 10.10.0.1:5400 -w 300
expect_hold h 'A|10.20.0.1|one' one
apply ay
EVENTUALLY=5 eventually ends h
run spctl status --json
expect_json "$out" '[.routes[] | select(.name == "y")][0].active == 0' 'connections of the new route'
hold_close h

# What no rule of ours ever takes is left alone: [::1] on the gateway itself.
gw nft 'add table inet other; add chain inet other c { type filter hook output priority 0; }; add rule inet other c ct state new counter'
printf '{"routes":[{"name":"six","match":{"ports":5301,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}' >"$T/six.json"
apply six
expect_answer_in gw 'L|::1|hi' udp '[::1]:5301'
entry() { gw conntrack -L -f ipv6 -p udp --orig-port-dst 5301 -o id 2>/dev/null | sed -E 's/.* id=([0-9]+).*/\1/'; }
before=$(entry)
[[ $before ]] || fail 'no entry to look at'
sed 's/7000/7001/' "$T/six.json" >"$T/seven.json"
apply seven
expect_eq "$(entry)" "$before" 'the entry of a flow on [::1]'
