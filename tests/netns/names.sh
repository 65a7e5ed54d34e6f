#!/bin/bash
# Targets by name: resolved once, by a process without privileges; what fails is said with its place.
. "${0%/*}/lib.sh"
. "${0%/*}/names_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
gw ip addr add 10.99.0.1/32 dev lo

# The resolver's files are ours in this mount namespace.
names_files <<<'10.20.0.2 db.lan'
hosts() { cat >"$T/hosts"; }
config named <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}}]}
CONFIG
config two <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}},
 {"name":"bad","match":{"ports":9001},"action":{"type":"forward","targets":[
   {"host":"gone.lan","port":7000}]}}]}
CONFIG

apply named --no-daemon
expect_match "$err" 'warning: target "db\.lan" was resolved once to 10\.20\.0\.2 and is not followed'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl plan "$T/named.json"
expect_match "$out" '10\.20\.0\.2:7000'
# apply would start the service.
expect_no_match "$err" 'not followed'
expect_exit 0 spctl status
expect_match "$err" 'named\.json:2:[0-9]+: warning: target "db\.lan" was resolved once to 10\.20\.0\.2 and is not followed'
expect_exit 0 spctl status --json
expect_match "$out" '"message": *"target ..db\.lan.. was resolved once to 10\.20\.0\.2'
# check asks nobody.
expect_exit 0 spctl check "$T/two.json"

# Several addresses: all of them, in turn.
hosts <<<$'10.20.0.3 db.lan\n10.20.0.2 db.lan\nfd20::2 db.lan'
apply named --no-daemon
expect_match "$err" 'resolved once to 10\.20\.0\.2, 10\.20\.0\.3, fd20::2 and is not followed'
expect_answer $'A 5\nB 5' tcp 10.10.0.1:9000 -n 10 --tally
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9000'
# The order in the file is no change.
hosts <<<$'fd20::2 db.lan\n10.20.0.2 db.lan\n10.20.0.3 db.lan'
apply named --no-daemon
expect_match "$out" 'nothing to do'
# One address less is one, although the route file is the same.
hosts <<<'10.20.0.3 db.lan'
apply named --no-daemon
expect_match "$out" 'generation 3 is live'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000

# A name that does not resolve: the file may be right, so exit 1; its place; nothing changed.
rules=$(rules_of)
state=$(cd "$T/state" && find . -type f -exec sha256sum {} + | sort)
expect_exit 1 spctl apply "$T/two.json" --timeout 5
expect_match "$err" 'two\.json:4:12: error: routes\[1]\.action\.targets\[0]\.host: target "gone\.lan" of route "bad" cannot be resolved: '
expect_eq "$(rules_of)" "$rules" 'the ruleset'
expect_eq "$(cd "$T/state" && find . -type f -exec sha256sum {} + | sort)" "$state" STATE
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 1 spctl apply "$T/two.json" --timeout 5 --json
expect_json "$out" '.errors[0] | .line == 4 and .col == 12'

expect_exit 1 spctl plan "$T/two.json" --timeout 5
expect_exit 1 spctl explain "$T/two.json" --port 9001 --timeout 5
# Where the file has an error of its own, too, it is that.
sed 's/"name":"bad","match":{"ports":9001}/"name":"bad","match":{"ports":9000}/' "$T/two.json" >"$T/both.json"
for command in apply plan; do
	expect_exit 2 spctl $command "$T/both.json" --timeout 5
done

# A name that resolved before and fails now keeps its addresses, with a warning.
hosts </dev/null
sed 's/"ports":9000/"ports":[9000,9005]/' "$T/named.json" >"$T/more.json"
apply more --no-daemon --timeout 5
expect_match "$err" 'warning: target "db\.lan" cannot be resolved now .*: the addresses of generation 3 are kept'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9005

# While a dead name server holds the resolver: it has neither root nor capabilities.
gw nft -f - <<'RULES'
table inet deaf { chain c { type filter hook input priority 0; udp dport 53 drop; }; }
RULES
printf 'nameserver 10.99.0.1\noptions timeout:5 attempts:1\n' >"$T/resolv"
lab_start gw "$T/apply.log" "$SPCTL" apply "$T/two.json" --timeout 20
parent=$lab_pid
child=
find_child() {
	local pid
	for pid in $(pgrep -P "$parent"); do
		child=$pid
		[[ $(awk '/^Uid:/ { print $2 }' "/proc/$pid/status") != 0 ]] && return 0
	done
	return 1
}
eventually find_child
expect_eq "$(grep -E '^Cap(Inh|Prm|Eff|Amb)' "/proc/$child/status" | grep -vc '0000000000000000' || :)" 0 'capabilities of the resolver'
expect_eq "$(awk '/^(Uid|Gid):/ { for (i = 2; i <= 5; i++) if ($i == 0) print $1 }' "/proc/$child/status")" '' 'ids of the resolver'
expect_match "$(cat "/proc/$child/status")" $'NoNewPrivs:\t1'
expect_eq "$(awk '/^Groups:/ { $1 = ""; print }' "/proc/$child/status" | tr -d ' ')" '' 'groups of the resolver'
rc=0
wait "$parent" || rc=$?
expect_eq "$rc" 1 'apply with a deaf name server'
expect_match "$(cat "$T/apply.log")" 'target "gone\.lan" of route "bad" cannot be resolved'
gone() { ! kill -0 "$child" 2>/dev/null; }
eventually gone
gw nft delete table inet deaf
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9005
expect_exit 0 spctl down
