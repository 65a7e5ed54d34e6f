#!/bin/bash
# An apply that fails after it turned settings on: they are as it found them, never on without a guard.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
forwarding() { gw cat /proc/sys/net/ipv4/ip_forward; }
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config two <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
sys=$(sysctls)

# The very first.
mkdir -p "$T/state/applied/1.config"
chmod -R go= "$T/state"
expect_exit 1 spctl apply "$T/one.json"
expect_eq "$(sysctls)" "$sys" 'settings after a failed first apply'
expect_no_table spctl
rm -r "$T/state/applied"

# A later one, with forwarding turned off and everything flushed by somebody in between.
apply one
gw nft flush ruleset
gw sysctl -qw net.ipv4.ip_forward=0
mkdir "$T/state/applied/2.config"
expect_exit 1 spctl apply "$T/two.json"
expect_eq "$(forwarding)" 0 'ip_forward after a failed apply'
expect_none_in cl tcp 10.20.0.2:7000
rmdir "$T/state/applied/2.config"

# Flushed only: what is still on has its guard again.
apply one
gw nft flush ruleset
gw sysctl -qw net.ipv4.conf.all.route_localnet=0
mkdir "$T/state/applied/2.config"
expect_exit 1 spctl apply "$T/two.json"
[[ $(forwarding) == 0 ]] || expect_match "$(gw nft list ruleset)" 'drop' 'a guard'
expect_none_in cl tcp 10.20.0.2:7000
rmdir "$T/state/applied/2.config"
apply two
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_exit 0 spctl down
expect_eq "$(sysctls)" "$sys" 'settings after down'

# down that could not end its work says so before it begins.
apply one
run lab_in gw unshare --mount sh -c "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec '$SPCTL' down"
expect_eq "$code" 1 'down with /proc/sys read-only'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
