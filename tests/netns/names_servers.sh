#!/bin/bash
# The service asks whom /etc/resolv.conf names now, not whom it named when the service started, and so it is with
# /etc/hosts: for names of routes in both tiers, and for those that clients choose.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve a A -t '*:7010' --greet A # before it has read anything
serve b B -t '*:7010' --greet B
gw ip addr add 10.99.0.1/32 dev lo
gw ip addr add 10.99.0.2/32 dev lo
for file in hosts nsswitch.conf resolv.conf; do
	cp "/etc/$file" "$T/$file" 2>/dev/null || :
	touch "$T/$file"
	mount --bind "$T/$file" "/etc/$file"
done
echo '127.0.0.1 localhost' >"$T/hosts"
echo 'hosts: files dns' >"$T/nsswitch.conf"
resolv() { printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$1" >"$T/resolv.conf"; }
# server ADDRESS HOST: a name server that says that the names are that host.
server() {
	printf '%s.lan A 10.20.0.%s 300\n' db "$2" relay "$2" one "$2" >"$T/zone.$1"
	lab_start gw "$T/dnsd.$1" "$LAB_TOOLS/dnsd" "$1:53" "$T/zone.$1" "$T/asked.$1"
	eventually grep -q port "$T/dnsd.$1"
}
server 10.99.0.1 2
server 10.99.0.2 3
resolv 10.99.0.1

config named <<'CONFIG'
{"connectionRateLimitPerMinute":0,"maxConnectionsPerIP":0,"routes":[
 {"name":"kernel","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}},
 {"name":"relay","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"relay.lan","port":7000}]}},
 {"name":"chosen","match":{"ports":9002,"domains":"*.lan"},"action":{"type":"forward","targets":[{"host":"{domain}","port":7010}],"tls":{"mode":"passthrough"}}}]}
CONFIG
apply named
# all HOST: every route leads there.
all() {
	[[ $(probe tcp 10.10.0.1:9000 -w 500) == "$1"* && $(probe tcp 10.10.0.1:9001 -w 500) == "$1"* &&
		$(cl "$LAB_TOOLS/hello" 10.10.0.1:9002 --sni one.lan --timeout 500 2>/dev/null || :) == "bytes $1"* ]]
}
eventually all A
pid=$(plane_pid)
n=$(wc -l <"$T/asked.10.99.0.1")

# Others are named: within seconds, whatever time to live the former gave.
resolv 10.99.0.2
EVENTUALLY=15 eventually all B
expect_eq "$(wc -l <"$T/asked.10.99.0.1")" "$n" 'questions to the former server'

# Nobody answers there: what was good last holds.
resolv 10.99.0.3
EVENTUALLY=15 eventually grep -c 'has changed: names are looked up anew' "$T/run/service.log"
sleep 3 # there is nothing to see of a question that has no answer
all B || fail 'a server that does not answer took names away'

# This host says it itself, and then no more.
printf '10.20.0.2 db.lan relay.lan one.lan\n' >>"$T/hosts"
EVENTUALLY=15 eventually all A
echo '127.0.0.1 localhost' >"$T/hosts"
resolv 10.99.0.2
EVENTUALLY=15 eventually all B
expect_eq "$(plane_pid)" "$pid" 'the dataplane of the beginning'
