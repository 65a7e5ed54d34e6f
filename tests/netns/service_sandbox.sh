#!/bin/bash
# Whatever a dataplane does in its sandbox - names, health checks, both ways of moving bytes, refused
# and silent targets - asks the kernel for nothing that the filter does not foresee.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
if grep -qaE '__(asan|tsan)_init' "$SPCTL"; then
	skip 'a build with sanitizers has no filter'
fi
lab_up
serve a A -t '*:7000' -u '*:7000'
printf '127.0.0.1 localhost\n10.20.0.2 a.test\n' >"$T/hosts"
printf 'nameserver 10.20.0.3\noptions timeout:1 attempts:1\n' >"$T/resolv.conf"
mount --bind "$T/hosts" /etc/hosts
mount --bind "$T/resolv.conf" /etc/resolv.conf

config routes <<'EOF'
{"routes":[
 {"name":"plain","match":{"ports":8000},"action":{"type":"forward","forwardingEngine":"relay",
   "targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"named","match":{"ports":8001},"action":{"type":"forward","forwardingEngine":"relay",
   "targets":[{"host":"a.test","port":7000}]}},
 {"name":"refused","match":{"ports":8002},"action":{"type":"forward","forwardingEngine":"relay",
   "targets":[{"host":"10.20.0.2","port":9}]}},
 {"name":"sni","match":{"ports":8003,"domains":"*.test"},"action":{"type":"forward",
   "targets":[{"host":"10.20.0.2","port":7000}],"tls":{"mode":"passthrough"}}}]}
EOF
apply routes
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8001
expect_refused tcp 10.10.0.1:8002
# Enough for the other way of moving them.
lab_in cl bash -c 'exec 3<>/dev/tcp/10.10.0.1/8000; head -c 20000000 /dev/zero >&3 & timeout 20 head -c 20000000 <&3 >/dev/null' || :
cl bash -c 'exec 3<>/dev/tcp/10.10.0.1/8003; printf "\x16\x03\x01\x00\x05junk!" >&3; timeout 5 cat <&3 >/dev/null' || :
expect_json "$(ask '{"type":"status"}' | head -n 1 | jq -c '.routes[0]')" \
	'.bytesIn > 20000000 and .bytesOut > 20000000 and .splice == 1'
expect_json "$(service_status)" '.sandbox.sealed and .sandbox.refused == 0 and .restarts == 0'
expect_exit 0 spctl down
