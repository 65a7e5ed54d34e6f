#!/bin/bash
# doctor finds forwarding turned off behind spctl's back, per family and interface, a default
# route that will expire, and IPv6 that is not there; each fix that it gives heals.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq ipv6
need_tool sysctl
lab_up
serve a A -t '*:7000'

config both <<'EOF'
{"routes":[
 {"name":"four","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"here","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":7001}]}}]}
EOF
# Before the apply, forwarding that is off is nobody's problem: apply turns it on.
healthy "$T/both.json"
expect_json "$out" '.findings | any(.check == "forwarding" and .level == "ok" and (.message | test("apply turns it on")))'
apply both
healthy

# ---- IPv4, as a whole
gw sysctl -qw net.ipv4.ip_forward=0
expect_none_in cl tcp 10.10.0.1:9000
finds_only forwarding 'IPv4 forwarding is off' 'four'
type_fix
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# ---- IPv6
gw sysctl -qw net.ipv6.conf.all.forwarding=0
expect_none_in cl tcp '[fd10::1]:9006'
finds_only forwarding 'IPv6 forwarding is off' 'six'
type_fix
healthy
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'

# ---- one interface: the answers arrive there. Another one, without targets, is a note.
gw sysctl -qw net.ipv4.conf.srv.forwarding=0
expect_none_in cl tcp 10.10.0.1:9000
finds_only forwarding 'arrives on srv' 'four'
type_fix
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
gw sysctl -qw net.ipv4.conf.lan2.forwarding=0
notes forwarding 'arrives on lan2'
expect_eq "$code" 0
expect_json "$out" '.findings | map(select(.check == "forwarding" and .level == "note")) | map(.routes) == [["four"]]'
# Where clients come in, and by no other way that forwards: all of them, or the one to the world.
gw sysctl -qw net.ipv4.conf.lan.forwarding=0
expect_none_in cl tcp 10.10.0.1:9000
finds_only forwarding 'arrives on lan' 'four'
type_fix
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
healthy
gw sysctl -qw net.ipv4.conf.lan2.forwarding=1
gw sysctl -qw net.ipv4.conf.lan.forwarding=0
gw ip route add default via 10.10.0.2
finds_only forwarding 'arrives on lan$' 'four'
type_fix
healthy
gw ip route del default via 10.10.0.2

# ---- an interface whose name has a dot
gw ip link add srv.7 type veth peer name peer7
gw ip link set peer7 up
gw ip addr add 10.77.0.1/24 dev srv.7
gw ip link set srv.7 up
gw ip route add 10.20.0.2/32 dev srv.7
gw sh -c 'echo 0 > /proc/sys/net/ipv4/conf/srv.7/forwarding'
finds forwarding 'arrives on srv.7' 'four'
expect_match "$fix" 'net/ipv4/conf/srv\.7/forwarding=1'
type_fix
expect_eq "$(gw cat /proc/sys/net/ipv4/conf/srv.7/forwarding)" 1
gw ip link del srv.7
healthy

# ---- a default route from router advertisements that nobody renews any more
gw ip -6 route add default via fd10::2 dev lan proto ra
gw sysctl -qw net.ipv6.conf.lan.accept_ra=1
finds_only accept-ra 'default route on lan' 'six'
type_fix
expect_eq "$(gw cat /proc/sys/net/ipv6/conf/lan/accept_ra)" 2
healthy
# One that is not from advertisements does not expire.
gw sysctl -qw net.ipv6.conf.lan.accept_ra=1
gw ip -6 route del default via fd10::2 dev lan proto ra
gw ip -6 route add default via fd10::2 dev lan
healthy
gw ip -6 route del default via fd10::2 dev lan

# ---- no IPv6: on the interface of the target, and at all
gw sysctl -qw net.ipv6.conf.srv.disable_ipv6=1
finds ipv6 'disabled on srv' 'six'
type_fix
gw ip addr add fd20::1/64 dev srv nodad
healthy
gw sysctl -qw net.ipv6.conf.all.disable_ipv6=1
finds ipv6 'disabled on all' 'six'
type_fix
gw sh -c 'ip addr add fd10::1/64 dev lan nodad; ip addr add fd20::1/64 dev srv nodad'
gw sysctl -qw net.ipv6.conf.all.forwarding=1
healthy
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'

# ---- where /proc/sys cannot be written, a file that needs forwarding is not for this host
expect_exit 0 spctl down
readonly_sys() { gw unshare -m sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"' sh "$SPCTL" "$@"; }
expect_exit 1 readonly_sys doctor "$T/both.json" --json
expect_json "$out" '.findings | map(select(.check == "forwarding" and .level == "problem")) | map(.routes) == [["four"], ["six"]]'
healthy "$T/both.json"
