#!/bin/bash
# Targets that a template names: by name, by address, by socket; DNS that is ill; names without end.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool openssl python3
lab_up
tls_certs A B
tls_serve a A 10.20.0.2:443
tls_serve b B 10.20.0.3:443
tls_serve a A 10.20.0.2:10445
tls_serve b B 10.20.0.3:10445

cat >"$T/zone" <<'E'
a.example.test.backend.test A 10.20.0.2
b.example.test.backend.test CNAME b.backend.test
b.backend.test A 10.20.0.3
a.pool.test A 10.20.0.2
two.pool.test A 10.20.0.77
two.pool.test A 10.20.0.3
dead.pool.test A 10.20.0.77
own.pool.test A 10.10.0.1
second.pool.test A 10.10.0.50
second.pool.test A 10.20.0.1
loopback.pool.test A 127.0.0.1
metadata.pool.test A 169.254.169.254
ill.pool.test mode servfail
silent.pool.test mode silent
E
lab_start gw "$T/dnsd.log" "$LAB_TOOLS/dnsd" 127.0.0.1:53 "$T/zone" "$T/asked"
eventually grep -q '^dnsd: port 53' "$T/dnsd.log"
printf 'nameserver 127.0.0.1\n' >"$T/resolv.conf"
mount --bind "$T/resolv.conf" /etc/resolv.conf
SOCKETS=$T/sockets
mkdir "$SOCKETS"
chmod 711 "$T" "$SOCKETS"
# s_server of OpenSSL 3.0 dies of its first client there.
cat >"$T/unix.py" <<'E'
import os, socket, ssl, sys
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2], sys.argv[3])
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen(8)
while True:
    try:
        c.wrap_socket(s.accept()[0], server_side=True).recv(1)
    except OSError:
        pass
E
lab_start gw "$T/unix.log" python3 "$T/unix.py" "$SOCKETS/a.example.test.sock" "$T/A.pem" "$T/A.key"
unix_listens() { gw ss -Hlx | grep -q "$SOCKETS/a.example.test.sock"; }
eventually unix_listens

route() { # NAME PORT HOST TARGET-PORT
	printf '{"name":"%s","match":{"ports":%d,"domains":["*.example.test"]},"action":{"type":"forward",
	 "targets":[{"host":"%s","port":%s}],"tls":{"mode":"passthrough"}}}' "$@"
}
apply_config <<E
{"connectionTimeout":1500,"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 $(route domain 8443 '{domain}.backend.test' 443),
 $(route label 8444 '{label:1}.pool.test' 443),
 $(route number 8445 '10.20.0.{label:1}' '"+2000"'),
 $(route same 8447 '{label:1}.pool.test' '"preserve"'),
 $(route socket 8446 "unix:$SOCKETS/{domain}.sock" 1)]}
E

# a name of the client is part of the target
expect_cn A a.example.test 10.10.0.1:8443
expect_cn B b.example.test 10.10.0.1:8443
expect_cn A a.example.test 10.10.0.1:8444
expect_cn A 2.example.test 10.10.0.1:8445
expect_cn B 3.example.test 10.10.0.1:8445
expect_cn A a.example.test 10.10.0.1:8446
# Two addresses, one is dead: the other one is tried.
for _ in 1 2 3 4; do
	expect_cn B two.example.test 10.10.0.1:8444
done
# Asked once, then known; and never under another name.
expect_eq "$(grep -c '^a.pool.test A ' "$T/asked")" 1
expect_cn A a.example.test 10.10.0.1:8444
expect_eq "$(grep -c '^a.pool.test A ' "$T/asked")" 1

# no target
expect_eq "$(refusals no_target)" 0
expect_eq "$(tls_cn x.example.test 10.10.0.1:8445)" reset # 10.20.0.x: a name, and there is none
expect_eq "$(refusals connect_failed)" 1
expect_eq "$(tls_cn 0.0.0.0.example.test 10.10.0.1:8446)" reset
expect_eq "$(refusals connect_failed)" 2
expect_eq "$(tls_cn 999.example.test 10.10.0.1:8445)" reset # a broken address is no name
expect_eq "$(refusals no_target)" 1

# no ejection: what one name does is not held against the others
for _ in 1 2 3 4 5 6; do
	expect_eq "$(tls_cn gone.example.test 10.10.0.1:8444)" reset
done
expect_eq "$(plane_routes '[.[].targets[].healthy] | all')" true
expect_cn A a.example.test 10.10.0.1:8444
expect_eq "$(plane_routes '[.[].failedOpen] | add')" 0

# A client cannot have the gateway connect to itself: by none of its addresses, nor to loopback.
gw ip addr add 10.10.0.50/24 dev lan
for name in own second loopback metadata; do
	failed=$(refusals connect_failed)
	accepted=$(plane_process .accepted)
	expect_eq "$(tls_cn "$name.example.test" 10.10.0.1:8447)" reset
	expect_eq "$(refusals connect_failed)" $((failed + 1))
	expect_eq "$(plane_process .accepted)" $((accepted + 1))
done

# DNS that is ill
failed=$(refusals connect_failed)
expect_eq "$(tls_cn ill.example.test 10.10.0.1:8444)" reset
expect_eq "$(refusals connect_failed)" $((failed + 1))
start=$(date +%s%3N)
expect_eq "$(tls_cn silent.example.test 10.10.0.1:8444)" reset
took=$(($(date +%s%3N) - start))
((took >= 1400 && took < 1500 + 1500 * STRETCH)) || fail "a silent name server: $took ms"
expect_eq "$(refusals connect_timeout)" 1
# While one waits, others are served; who leaves is not waited for.
lab_in cl timeout 1 "$LAB_TOOLS/hello" 10.10.0.1:8444 --sni silent.example.test >"$T/left" 2>&1 &
left=$!
expect_cn A a.example.test 10.10.0.1:8443
kill "$left" 2>/dev/null || :
wait "$left" 2>/dev/null || :
eventually plane_is_idle

# names without end
before=$(plane_rss_kb)
lab_in cl timeout $((120 * STRETCH)) python3 - >"$T/many.log" 2>&1 <<'E' || fail "many names: $(cat "$T/many.log")"
import socket, ssl
c = ssl.create_default_context()
c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
t = c.wrap_bio(i, o, server_hostname="n00000.example.test")
try:
    t.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = o.read()
assert b"n00000." in hello
pending = []
def finish(s):
    try:
        assert s.recv(1) == b"", "an answer"
    except ConnectionResetError:
        pass
    s.close()
for k in range(5000):
    s = socket.create_connection(("10.10.0.1", 8444))
    s.settimeout(20)
    s.sendall(hello.replace(b"n00000.", b"n%05d." % (k + 1)))
    pending.append(s)
    if len(pending) == 50:
        finish(pending.pop(0))
for s in pending:
    finish(s)
E
names=$(plane_process .lookupNames)
((names == 4096)) || fail "$names names are kept"
# c-ares gives the silent ones up by itself.
none_is_asked() { [[ $(plane_process .lookupsAsked) == 0 ]]; }
EVENTUALLY=30 eventually none_is_asked
((STRETCH > 1 || $(plane_rss_kb) - before < 12000)) || fail "memory: $before kB, then $(plane_rss_kb) kB"
expect_cn A a.example.test 10.10.0.1:8444

# it is seen
expect_exit 0 spctl plan "$T/routes.json"
expect_match "$out" '\{label:1\}\.pool\.test:443'
expect_match "$out" "unix:$SOCKETS/\{domain\}\.sock"
expect_exit 0 spctl status
expect_match "$out" '\{domain\}\.backend\.test'
expect_exit 0 spctl explain "$T/routes.json" --port 8444 --sni a.example.test
expect_match "$out" '\{label:1\}\.pool\.test'

# what would let a client choose any target is refused
config any <<'E'
{"routes":[{"name":"any","match":{"ports":8450},"action":{"type":"forward","targets":[{"host":"{domain}","port":443}],"tls":{"mode":"passthrough"}}}]}
E
expect_exit 2 spctl check "$T/any.json"
expect_match "$err" 'a template of the domain needs match\.domains'
config default <<'E'
{"defaults":{"target":{"host":"{domain}","port":443}},"routes":[{"name":"a","match":{"ports":8450},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}]}}]}
E
expect_exit 2 spctl check "$T/default.json"
expect_match "$err" 'the default target cannot depend on what a client names'

expect_idle
expect_exit 0 spctl down
