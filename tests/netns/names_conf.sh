#!/bin/bash
# Nothing that may stand in /etc/resolv.conf keeps the service from serving, at its start or later; what can be asked is
# asked.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
lab_up
serve a A -t '*:7000'
gw ip addr add 10.99.0.1/32 dev lo
touch "$T/resolv.conf"
mount --bind "$T/resolv.conf" /etc/resolv.conf
echo 'db.lan A 10.20.0.2 300' >"$T/zone"
lab_start gw "$T/dnsd.log" "$LAB_TOOLS/dnsd" 10.99.0.1:53 "$T/zone"
eventually grep -q port "$T/dnsd.log"
log=$T/run/service.log
serves() { expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000; }
looked() { (($(grep -c 'has changed: names are looked up anew' "$log") == $1)); }

printf 'nameserver nobody\nnameserver fe80::1%%lan\nnameserver 10.99.0.1\nsearch lan . \\x\noptions ndots:99 timeout:0\n' >"$T/resolv.conf"
apply_config <<'E'
{"routes":[{"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"db.lan","port":7000}]}}]}
E
serves
expect_match "$(cat "$log")" 'name server "nobody" cannot be asked'
expect_match "$(cat "$log")" 'name server "fe80::1%lan" cannot be asked'
pid=$(plane_pid)

# Later: none that can be asked, a gibberish, a file that is too long, none at all.
echo 'nameserver nobody' >"$T/resolv.conf"
eventually looked 1
head -c 70000 /dev/urandom >"$T/resolv.conf"
eventually looked 2
serves
printf '%2000000s' 'nameserver 10.99.0.9' >"$T/resolv.conf"
sleep 3 # what cannot be read counts as empty, which is what it was before
serves
umount /etc/resolv.conf
serves
expect_eq "$(plane_pid)" "$pid" 'the dataplane of the beginning'
