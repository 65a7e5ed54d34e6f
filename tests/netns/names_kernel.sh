#!/bin/bash
# Names of kernel routes are followed: the table has the new address within the TTL (and its floor of
# five seconds), what was good last is kept, and no command asks DNS for what the service follows.
. "${0%/*}/lib.sh"
. "${0%/*}/names_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
serve gw G -t '127.0.0.1:7000'
gw ip addr add 10.99.0.1/32 dev lo

names_files <<<'127.0.0.1 localhost'
others=('four.lan A 10.20.0.2 1' 'quiet.lan A 10.20.0.3 1' 'bad.lan A 10.20.0.3 1')
zone 'db.lan A 10.20.0.2 1' "${others[@]}"
dns_start

config named <<'CONFIG'
{"connectionRateLimitPerMinute":0,"maxConnectionsPerIP":0,"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}},
 {"name":"udp","match":{"ports":9001,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}},
 {"name":"four","match":{"ports":9002,"address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"four.lan","port":7000}]}},
 {"name":"quiet","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"quiet.lan","port":7000}]}},
 {"name":"bad","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":"bad.lan","port":7000}]}}]}
CONFIG
answers() { [[ $(probe tcp 10.10.0.1:9000 -w 500) == "$1"* ]]; }
in_step() { # nobody calls it drift, with no image to believe
	rm -f "$T/run/image"
	run spctl status --json
	[[ $code == 0 ]] && jq -e '.drift == false and .generation == 1' <<<"$out" >/dev/null
}

apply named
expect_no_match "$err" 'not followed'
expect_match "$out" 'generation 1 is live'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
hold kept cl tcp 10.10.0.1:9000
hold flow cl udp 10.10.0.1:9001
expect_hold flow 'A|10.20.0.1|u1' u1

# 1. It moves: new connections follow, the open one lives, the UDP flow is led to the new one.
zone 'db.lan A 10.20.0.3 1' "${others[@]}"
from=$SECONDS
eventually answers B
is_slow || ((SECONDS - from <= 8)) || fail "it took $((SECONDS - from)) s"
expect_hold kept 'A|10.20.0.1|one' one
flow_moved() { hold_say flow u2 && [[ $answer == B* ]]; }
eventually flow_moved
eventually in_step
expect_json "$out" '.routes[0].targets[0].host == "10.20.0.3"'
expect_exit 0 spctl explain --port 9000
expect_match "$out" '10\.20\.0\.3:7000'

# 2. The same file again, and the number of the generation stays.
apply named
expect_match "$out" 'nothing to do: generation 1'
answers B || fail 'an apply took the address back'
in_step || fail 'an apply left a drift'

# 3. All at once, as each takes as long: several addresses; a server that is silent; what may be no target; one that
# would change the tier of a route. What was good last stays.
asked() { grep -c "$1" "$T/asked"; }
declare -A n=([quiet]=$(asked quiet) [bad]=$(asked bad))
zone 'db.lan A 10.20.0.2 1' 'db.lan A 10.20.0.3 1' 'quiet.lan mode silent' 'four.lan AAAA fd20::3 1' \
	'bad.lan A 127.0.0.1 1' 'bad.lan A 0.0.0.0 1' 'bad.lan A 224.0.0.1 1' 'bad.lan A 169.254.169.254 1'
eventually answers A
eventually in_step
expect_answer $'A 5\nB 5' tcp 10.10.0.1:9000 -n 10 --tally
asked_again() { (($(asked quiet) > n[quiet] + 2 && $(asked bad) > n[bad] + 2)); } # A and AAAA, and once more
EVENTUALLY=20 eventually asked_again
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9003
EVENTUALLY=20 eventually grep -q 'name "bad\.lan": it has no address that may be a target: it stays where it is' "$T/run/service.log"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9004
EVENTUALLY=20 eventually grep -q 'name "four\.lan": with its new addresses a route would need another tier' "$T/run/service.log"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9002

# 4. One address less.
zone 'db.lan A 10.20.0.3 1' 'four.lan AAAA fd20::3 1' "${others[@]:1}"
both() { [[ $(probe tcp 10.10.0.1:9000 -n 4 --tally) == 'B 4' ]]; }
eventually both
eventually in_step

# 5. Nobody asks DNS: not the next apply, not the service that starts anew, not a boot.
lab_stop "$dns"
jq '.routes += [{"name":"more","match":{"ports":9005},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}}]' \
	"$T/named.json" >"$T/more.json"
from=$SECONDS
apply more
is_slow || ((SECONDS - from <= 2)) || fail "an apply without DNS took $((SECONDS - from)) s"
expect_match "$out" 'generation 2 is live'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9005
plane=$(plane_pid)
kill -9 "$(controller_pid)"
kill -9 "$plane"
gone() { [[ ! -e /proc/$plane ]]; }
eventually gone
rm -rf "$T/run"
gw nft flush ruleset
expect_exit 0 spctl apply --boot
expect_no_match "$err" 'resolved once'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9005

# 6. DNS is back, and so is who follows.
zone 'db.lan A 10.20.0.2 1' "${others[@]}"
dns_start
EVENTUALLY=30 eventually answers A

# 7. Without a service nothing is followed, and that is said.
expect_exit 0 spctl down
apply named --no-daemon
expect_match "$err" 'target "db\.lan" was resolved once to 10\.20\.0\.2 and is not followed'
expect_eq "$(plane_ask '{"type":"status"}' 2>/dev/null || :)" '' 'a service'
expect_exit 0 spctl down
