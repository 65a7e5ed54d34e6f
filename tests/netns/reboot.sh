#!/bin/bash
# What is left after a reboot (STATE, neither RUN nor table), and a lost RUN while routes live.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000'

config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"udp","match":{"ports":9002,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sed 's/"ports":9000/"ports":[9000,9001]/' "$T/one.json" >"$T/two.json"
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

# RUN is a tmpfs: gone. The table and the sysctls as well, as the kernel starts anew.
apply one
rm -rf "$T/run"
gw nft flush ruleset
gw conntrack -F 2>/dev/null || :
gw sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet'
expect_exit 1 spctl status
expect_match "$out" 'drift'
apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status

# RUN lost while the routes live: adopted as they are, and nobody is cut off.
hold kept cl tcp 10.10.0.1:9000
hold udp cl udp 10.10.0.1:9002
expect_hold udp 'A|10.20.0.1|u1' u1
table=$(gw nft -s list table inet spctl)
rm -rf "$T/run"
expect_exit 0 spctl status
apply one
expect_match "$out" 'nothing to do'
expect_eq "$(gw nft -s list table inet spctl)" "$table" 'the table'
expect_hold kept 'A|10.20.0.1|one' one
expect_hold udp 'A|10.20.0.1|u2' u2
rm -rf "$T/run"
apply two
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_hold kept 'A|10.20.0.1|two' two
expect_hold udp 'A|10.20.0.1|u3' u3
expect_exit 0 spctl status

# down works without RUN, too, and finds its flows by their label.
rm -rf "$T/run"
hold_close kept
hold_close udp
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'

# STATE is lost while the routes live: another instance's table is never taken over silently.
apply one
rm -rf "$T/state"
expect_exit 1 spctl apply "$T/one.json"
expect_match "$err" 'belongs to another spctl instance'
expect_match "$err" 'nft delete table inet spctl'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
