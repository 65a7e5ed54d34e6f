#!/bin/bash
# What spctl opened on the host stays guarded, whatever later applies need and others do.
. "${0%/*}/lib.sh"
. "${0%/*}/names_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve gw SECRET -t '127.0.0.1:2222'
v4_forwarding() { gw cat /proc/sys/net/ipv4/ip_forward; }
localnet() { gw cat /proc/sys/net/ipv4/conf/all/route_localnet; }
config wild <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config named <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000,"address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config none <<'EOF'
{"routes":[{"name":"tcp","enabled":false,"match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF

# Routes that no longer need route_localnet: it is on until down, so its guard is there until down.
apply wild
expect_eq "$(v4_forwarding) $(localnet)" '1 1'
for later in named none; do
	apply "$later"
	expect_eq "$(localnet)" 1 'route_localnet'
	expect_match "$(gw nft list table inet spctl)" '127\.0\.0\.0/8 .*drop' "guard of 127/8 after $later"
	expect_no_match "$(attack_loopback 2222)" SECRET "a service on loopback, from outside, after $later"
	expect_exit 0 spctl status
done
# Nothing but routes is forwarded, even without any route.
expect_none_in cl tcp 10.20.0.2:7000
apply wild
expect_none_in cl tcp 10.20.0.2:7000

# A setting that somebody turned off is seen, and repaired by apply.
gw sysctl -qw net.ipv4.ip_forward=0
expect_exit 1 spctl status
expect_match "$out" 'ip_forward is off'
expect_none_in cl tcp 10.10.0.1:9000
apply wild
expect_eq "$(v4_forwarding)" 1
expect_exit 0 spctl status
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_none_in cl tcp 10.20.0.2:7000
expect_exit 0 spctl down
expect_eq "$(v4_forwarding) $(localnet)" '0 0'

# Forwarding was on before us, and somebody turns it off while an apply waits for a name: when it is
# turned on again, it is guarded.
names_files 9 <<<'10.20.0.2 db.lan'
config slow <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"db.lan","port":7000}]}}]}
EOF
gw sysctl -qw net.ipv4.ip_forward=1
gw ip addr add 10.99.0.1/32 dev lo 2>/dev/null || :
apply slow --no-daemon
expect_answer 'A|10.10.0.2|hi' tcp 10.20.0.2:7000
: >"$T/hosts"
gw nft -f - <<'RULES'
table inet deaf { chain c { type filter hook input priority 0; udp dport 53 drop; }; }
RULES
lab_start gw "$T/apply.log" "$SPCTL" apply "$T/slow.json" --no-daemon --timeout 2
waiting=$lab_pid
resolving() { pgrep -P "$waiting"; }
eventually resolving
gw sysctl -qw net.ipv4.ip_forward=0
wait "$waiting" || fail "apply: $(cat "$T/apply.log")"
expect_eq "$(v4_forwarding)" 1
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_none_in cl tcp 10.20.0.2:7000
expect_exit 0 spctl down

# The test can see the difference: with our table gone and the setting on, the attack gets through.
gw sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'
expect_match "$(attack_loopback 2222)" SECRET 'the attack itself (no guard)'
