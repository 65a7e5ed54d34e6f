#!/bin/bash
# A7: SNI passthrough, wildcard and exact. Pitfall 29 (hellos in pieces, real ones).
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
tls_certs A B
tls_serve a A 10.20.0.2:443
tls_serve b B 10.20.0.3:443
HELLO=$LAB_TOOLS/hello

apply_config <<'E'
{"routes":[
 {"name":"wild","match":{"ports":8443,"domains":"*.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}],"tls":{"mode":"passthrough"}}},
 {"name":"exact","priority":10,"match":{"ports":8443,"domains":["api.example.test"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":443}],"tls":{"mode":"passthrough"}}}]}
E
expect_cn B api.example.test 10.10.0.1:8443
expect_cn B API.EXAMPLE.TEST 10.10.0.1:8443
expect_cn A a.b.example.test 10.10.0.1:8443
expect_cn A www.example.test 10.10.0.1:8443
expect_cn 'alert 112' example.test 10.10.0.1:8443
expect_cn 'alert 112' example.test.evil.test 10.10.0.1:8443
for version in tls1_2 tls1_3; do
	expect_cn B api.example.test 10.10.0.1:8443 -$version
	expect_cn A www.example.test 10.10.0.1:8443 -$version
	expect_cn 'alert 112' other.test 10.10.0.1:8443 -$version
done

# What is said goes through in both directions, unread.
expect_eq "$(tls_say api.example.test 10.10.0.1:8443 hello)" olleh
if command -v curl >/dev/null; then
	srv a openssl s_server -accept 10.20.0.2:8444 -cert "$T/A.pem" -key "$T/A.key" -www -quiet >"$T/www.log" 2>&1 &
	LAB_PIDS+=($!)
	jq '.routes[0].match.ports = 8444 | .routes[0].action.targets[0].port = 8444 | .routes |= .[:1] |
		.routes[0].name = "www"' "$T/routes.json" | config www
	jq -s '.[0].routes += .[1].routes | .[0]' "$T/routes.json" "$T/www.json" | config both
	apply both
	page() { lab_in cl curl -sk --max-time 5 --resolve www.example.test:8444:10.10.0.1 https://www.example.test:8444/; }
	served() { [[ $(page) == *'s_server'* ]]; }
	eventually served
fi

# Cut into single bytes, several records, or long as with post-quantum keys: the same answers.
# answer ARG...: what comes back, without the rest of a line: "bytes 16" (a server's hello), "alert 112".
answer() { lab_in cl "$HELLO" 10.10.0.1:8443 --timeout $((5000 * STRETCH)) "$@" | cut -c1-8 || :; }
for cut in '--segment 1' '--records 1' '--records 3 --segment 2' '--pad 2000' '--pad 2000 --segment 7' \
	'--pad 15000 --records 4000'; do
	# shellcheck disable=SC2086 # options
	for sni in api.example.test a.b.example.test; do
		before=$(plane_routes "map(.total) | tostring")
		expect_eq "$(answer --sni $sni $cut)" 'bytes 16' "$sni $cut"
		after=$(plane_routes "map(.total) | tostring")
		expect_no_match "$after" "^$(printf %q "$before")$" "$sni $cut: counted"
	done
	# shellcheck disable=SC2086
	expect_eq "$(lab_in cl "$HELLO" 10.10.0.1:8443 --sni example.test $cut || :)" 'alert 112' "example.test $cut"
done
# Which one it was is seen in what a real client gets: s_client's own first flight in single bytes.
lab_in cl timeout 20 python3 - >"$T/cut.log" 2>&1 <<'E' || [[ $? == 77 ]] || fail "single bytes: $(cat "$T/cut.log")"
import socket, ssl, sys
def name_of(sni):
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = c.wrap_bio(i, o, server_hostname=sni)
    s = socket.create_connection(("10.10.0.1", 8443))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(5)
    while True:
        try:
            t.do_handshake()
            break
        except ssl.SSLWantReadError:
            for b in o.read():
                s.send(bytes([b]))
            d = s.recv(65536)
            if not d:
                return None
            i.write(d)
    return t.getpeercert(True)
def cert(path):
    return ssl.PEM_cert_to_DER_cert(open(path).read())
import os
d = os.environ["SPCTL_RUN_DIR"] + "/.."
assert name_of("api.example.test") == cert(d + "/B.pem"), "api"
assert name_of("a.b.example.test") == cert(d + "/A.pem"), "a.b"
try:
    assert name_of("example.test") is None, "example.test"
except ssl.SSLError as e:
    assert "UNRECOGNIZED_NAME" in str(e), e
E

# A hello over the bound of 16 KiB is refused with an alert of its own, and counted; 64 KiB are not kept.
expect_match "$(lab_in cl "$HELLO" 10.10.0.1:8443 --sni api.example.test --pad 65000 || :)" '^(alert 50|reset)$'
expect_eq "$(refusals bad_hello)" 1

expect_idle
expect_exit 0 spctl down
