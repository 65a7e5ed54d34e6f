#!/bin/bash
# apply --kill ends the connections that the new routes would not make any more, whoever keeps them
# up, and no other; the clients are reset. Without it they live on.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq nft_redir
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
serve gw L -t '127.0.0.1:8000'
serve gw W -t '*:9003'
serve gw S -t '10.20.0.1:8001'

route() { # NAME PORTS TARGETS EXTRA
	printf '{"name":"%s","match":{"ports":%s,"transport":"%s"},"action":{"type":"forward","targets":[%s]%s}}' \
		"$1" "$2" "${5-all}" "$3" "${4-}"
}
kept=',"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}'
both() { printf '{"host":["10.20.0.%s","fd20::%s"],"port":7000}' "$1" "$1"; }
stay=$(route stay 9004 "$(both 2)")
pool() { route pool 9005 "$1"; }
printf '{"routes":[%s,%s,%s,%s,%s,%s,%s]}' "$(route masq 9000 "$(both 2)")" "$(route kept 9001 "$(both 2)" "$kept")" \
	"$(route loop 9002 '{"host":"127.0.0.1","port":8000}')" "$(route same 9003 '{"host":"127.0.0.1","port":9003}')" \
	"$(route own 9006 '{"host":"10.20.0.1","port":8001}')" \
	"$stay" "$(pool "{\"host\":\"10.20.0.2\",\"port\":7000},{\"host\":\"10.20.0.3\",\"port\":7000}")" >"$T/old.json"
# masq leads elsewhere, kept, loop, same and own are gone, pool has lost one of two targets.
printf '{"routes":[%s,%s,%s]}' "$(route masq 9000 "$(both 3)")" "$stay" \
	"$(pool '{"host":"10.20.0.2","port":7000}')" >"$T/new.json"

open_all() {
	hold m4 cl tcp 10.10.0.1:9000
	hold m6 cl tcp '[fd10::1]:9000'
	hold k4 cl tcp 10.10.0.1:9001
	hold k6 cl tcp '[fd10::1]:9001'
	hold g4 gw tcp 10.10.0.1:9000
	hold lo cl tcp 10.10.0.1:9002
	hold sa cl tcp 10.10.0.1:9003
	hold ow cl tcp 10.10.0.1:9006
	hold st cl tcp 10.10.0.1:9004
	hold pa cl tcp 10.10.0.1:9005
	hold pb cl tcp 10.10.0.1:9005
	hold mu cl udp 10.10.0.1:9000 -w 300
	hold su cl udp 10.10.0.1:9004 -w 300
	hold_say pa x
	if [[ $answer == B* ]]; then # round robin began with the other one
		hold_close pa
		hold_close pb
		hold pa cl tcp 10.10.0.1:9005
		hold_say pa x
		[[ $answer == B* ]] || hold pb cl tcp 10.10.0.1:9005
		if [[ $answer == B* ]]; then
			hold_close pa
			hold pa cl tcp 10.10.0.1:9005
			hold pb cl tcp 10.10.0.1:9005
		fi
	fi
	for h in m4 m6 k4 k6 g4 st pa mu su; do
		hold_say "$h" "$h"
		[[ $answer == A\|*"|$h" ]] || fail "$h before: $answer"
	done
	expect_hold k4 'A|10.10.0.2|x' x
	expect_hold lo 'L|10.10.0.2|x' x
	expect_hold sa 'W|10.10.0.2|x' x
	expect_hold ow 'S|10.10.0.2|x' x
	expect_hold pb 'B|10.20.0.1|x' x
}
close_all() { for h in m4 m6 k4 k6 g4 lo sa ow st pa pb mu su; do hold_close "$h"; done; }
ids() { # PORTS: of the connections to them
	gw conntrack -L -o id 2>/dev/null | sort -u | grep -E "dport=($1) " | grep -oE '^(tcp|udp)|id=[0-9]+' | paste - - | sort
}
# The client's connection to that port is gone though it has not said a word.
no_socket() { [[ -z $(cl ss -Htn state established "dport = :$1") ]]; }

# --- at the apply that changes the routes
apply old
open_all
before=$(ids '9004')
expect_eq "$(wc -l <<<"$before")" 2 'connections of the route that stays'
run spctl apply "$T/new.json" --kill --json
expect_eq "$code" 0 'apply --kill'
expect_json "$out" '.flowsEnded == 10'
for port in 9002 9003 9006; do
	eventually no_socket "$port"
done
expect_killed() {
	local h
	for h in m4 m6 k4 k6 lo sa ow pb; do
		hold_say "$h" x
		[[ $answer == reset ]] || fail "$h after --kill: $answer"
	done
	# A client on the gateway itself is told by its own kernel (ECONNABORTED).
	hold_say g4 x
	[[ $answer == reset || $answer == error ]] || fail "g4 after --kill: $answer"
}
expect_killed
expect_hold mu 'B|10.20.0.1|x' x
expect_hold st 'A|10.20.0.1|y' y
expect_hold pa 'A|10.20.0.1|y' y
expect_hold su 'A|10.20.0.1|y' y
expect_eq "$(ids '9004')" "$before" 'conntrack ids of the route that stays'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
# The listening socket of the local target is not a connection of it.
expect_answer 'W|10.10.0.2|hi' tcp 10.10.0.1:9003
close_all

# --- and at one that changes nothing: what an earlier one left
apply old
open_all
apply new
expect_match "$out" 'ended: 1 connection ' 'the UDP flow, always'
for h in m4 m6 k4 k6 g4 lo sa ow st pa pb; do
	hold_say "$h" z
	[[ $answer == [ABLWS]\|*'|z' ]] || fail "$h must live on: $answer"
done
expect_hold pb 'B|10.20.0.1|y' y
before=$(ids '9004')
# A look at what it would do ends nothing.
expect_exit 0 spctl apply "$T/new.json" --kill --dry-run
expect_match "$out" 'would end: 9 connections'
expect_exit 0 spctl apply "$T/old.json" --drain 60 --dry-run --json
expect_json "$out" '.flowsEnded >= 1 and .dryRun'
expect_hold m4 'A|10.20.0.1|y' y
expect_exit 0 spctl apply "$T/new.json" --kill
expect_match "$out" '^nothing to do'
expect_match "$out" 'ended: 9 connections'
expect_killed
expect_hold st 'A|10.20.0.1|y' y
expect_hold pa 'A|10.20.0.1|y' y
expect_eq "$(ids '9004')" "$before" 'conntrack ids of the route that stays'
expect_exit 0 spctl apply "$T/new.json" --kill --json
expect_json "$out" '.flowsEnded == 0 and .changed == false'
close_all

# --- a higher route that takes some clients, and another instance's connections
apply new
hold mine cl tcp 10.10.0.1:9004 -s 10.10.0.3
hold other cl tcp 10.10.0.1:9004 -s 10.10.0.9
two() { lab_in gw "$SPCTL" "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
printf '{"routes":[%s]}' "$(route two 9100 "$(both 2)")" >"$T/two.json"
expect_exit 0 two apply "$T/two.json"
hold theirs cl tcp 10.10.0.1:9100
jq '.routes += [.routes[] | select(.name == "stay") | .name = "front" | .priority = 5 | .match.clientIp = ["10.10.0.3"] |
	.action.targets[0].host = ["10.20.0.3"]]' "$T/new.json" >"$T/front.json"
expect_exit 0 spctl apply "$T/front.json" --kill
hold_say mine x
expect_eq "$answer" reset 'a client that another route takes now'
expect_hold other 'A|10.20.0.1|x' x
expect_hold theirs 'A|10.20.0.1|x' x

expect_exit 2 spctl apply "$T/front.json" --kill --drain 5
expect_match "$err" '--kill and --drain'
expect_exit 0 two down
expect_exit 0 spctl down
