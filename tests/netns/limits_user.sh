#!/bin/bash
# Ports that user space listens on: their clients are counted by the kernel, with those of all other ports, and
# nothing else of the kernel tier touches them. Where no service listens, a server of the test does.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit ipv6
lab_up
serve a A -t '*:7000'
listens() { [[ $(gw ss -Hltn "sport = :$1") ]]; }
# apply_user PORT... with the file on stdin
apply_user() {
	local port
	apply_config
	for port; do
		listens "$port" || serve gw "G$port" -t "*:$port"
	done
}
relay='"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}'
kernel='"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}'

apply_user 9000 9002 <<E
{"maxConnectionsPerIP":3,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"user","match":{"ports":9000},$relay},
 {"name":"kernel","match":{"ports":9001},$kernel},
 {"name":"lan","priority":5,"match":{"ports":9002,"clientIp":"10.10.0.9"},$kernel},
 {"name":"rest","match":{"ports":9002},$relay}]}
E
# A client's limit is over all ports, whoever serves them.
hold a cl tcp 10.10.0.1:9000
hold b cl tcp 10.10.0.1:9002
hold c cl tcp 10.10.0.1:9001
for port in 9000 9001 9002; do
	expect_answer refused tcp 10.10.0.1:$port
done
expect_eq "$(refused ip user) $(refused ip kernel) $(refused ip lan) $(refused ip rest)" '1 1 0 1'
hold d cl tcp 10.10.0.1:9000 -s 10.10.0.3
hold_close d
# The place is free as soon as the connection is gone.
hold_close a
eventually try_hold a cl tcp 10.10.0.1:9000
expect_answer refused tcp 10.10.0.1:9000
# It is not translated, and no rule takes it for a flow of the kernel tier: those count by the route's number.
flow() { gw conntrack -L -p tcp --orig-port-dst "$1" 2>/dev/null | grep ESTABLISHED; }
counted() { gw nft list set inet "$TABLE" up | grep -oE '[0-9a-f]+:[0-9a-f:]+ counter' | cut -d: -f1 | sort -u | paste -sd' '; }
translated='src=10\.10\.0\.[0-9]+ dst=10\.10\.0\.1 .* src=10\.20\.0\.2'
hold_say a hi
expect_match "$answer" '^(A|G9000)\|'
expect_match "$(flow 9001)" "$translated"
expect_no_match "$(flow 9000)" "$translated"
expect_eq "$(counted)" 200
for i in a b c; do
	hold_close $i
done
# On one port the kernel has some clients and user space the others.
eventually try_hold e cl tcp 10.10.0.1:9002 -s 10.10.0.9
expect_hold e 'A|10.20.0.1|hi' hi
expect_match "$(flow 9002)" "$translated"
hold_close e
# Of IPv6, a /64 is one client.
for i in 1 2 3; do
	hold "six$i" cl tcp '[fd10::1]:9000'
done
expect_answer refused tcp '[fd10::1]:9000'
for i in 1 2 3; do
	hold_close "six$i"
done

# No route is the kernel's: only what counts stands in the table, and nothing for each packet.
apply_user 9000 <<E
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":4,"routes":[
 {"name":"user","match":{"ports":9000},$relay}]}
E
expect_eq "$(probe tcp 10.10.0.1:9000 -n 6 --tally | awk '/^refused/ { print $2 }')" 2
expect_eq "$(refused rate user)" 2
rules=$(gw nft list table inet "$TABLE")
expect_no_match "$rules" 'hook (input|postrouting)'
expect_no_match "$rules" 'dnat'

# No limits: the kernel has nothing to do with it.
apply_user 9000 <<E
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"user","match":{"ports":9000},$relay}]}
E
expect_no_match "$(gw nft list table inet "$TABLE")" 'dport'

# Peers in proxyIPs stand for many clients: user space has them on each port, and the kernel does not count them.
apply_user 9001 <<E
{"maxConnectionsPerIP":1,"connectionRateLimitPerMinute":0,"proxyIPs":["10.10.0.9"],"routes":[
 {"name":"kernel","match":{"ports":9001},$kernel}]}
E
for i in 1 2 3; do
	hold "peer$i" cl tcp 10.10.0.1:9001 -s 10.10.0.9
done
expect_no_match "$(flow 9001)" "$translated"
hold one cl tcp 10.10.0.1:9001
expect_hold one 'A|10.20.0.1|hi' hi
expect_answer refused tcp 10.10.0.1:9001
