#!/bin/bash
# A20: the PROXY header that a target gets.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq ipv6
need_tool python3
lab_up
# A server that writes down, in hex, what came before the first newline that is payload, and answers with it.
cat >"$T/lines.py" <<'E'
import socket, threading
def serve(s):
    while True:
        c, _ = s.accept()
        def one(c=c):
            d = b""
            c.settimeout(5)
            try:
                while not d.endswith(b"END\n"):
                    b = c.recv(65536)
                    if not b:
                        break
                    d += b
                c.sendall(d.hex().encode() + b"\n")
            except OSError:
                pass
            c.close()
        threading.Thread(target=one, daemon=True).start()
v4 = socket.create_server(("10.20.0.2", 7001))
v6 = socket.create_server(("fd20::2", 7001), family=socket.AF_INET6)
threading.Thread(target=serve, args=(v4,), daemon=True).start()
print("ready")
serve(v6)
E
lab_start a "$T/lines.log" python3 -u "$T/lines.py"
eventually grep -q ready "$T/lines.log"
# said ADDR:PORT FROM-PORT TEXT: what the target got, as text.
said() { probe tcp "$1" -p "$2" -m "$3END" | xxd -r -p | tr -d '\0'; }
need_tool xxd

config one <<'E'
{"routes":[{"name":"pp","match":{"ports":9500},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7001}],"sendProxyProtocol":true}}]}
E
apply one
expect_eq "$(said 10.10.0.1:9500 40001 hello)" $'PROXY TCP4 10.10.0.2 10.10.0.1 40001 9500\r\nhelloEND'
# What the client meant for such a header is payload.
expect_eq "$(said 10.10.0.1:9500 40002 $'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n')" \
	$'PROXY TCP4 10.10.0.2 10.10.0.1 40002 9500\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nEND'
# Counted are the client's bytes, once each (pitfall 21): not ours.
eventually plane_is_idle
expect_eq "$(plane_routes '.[0].bytesIn')" $((9 + 36))

# IPv6, also to a target of the other family.
jq '.routes[0].action.targets[0].host = "fd20::2"' "$T/one.json" | config six
for to in one six; do
	apply $to
	expect_eq "$(said '[fd10::1]:9500' 40003 hello)" $'PROXY TCP6 fd10::2 fd10::1 40003 9500\r\nhelloEND'
	expect_eq "$(said 10.10.0.1:9500 40004 hello)" $'PROXY TCP4 10.10.0.2 10.10.0.1 40004 9500\r\nhelloEND'
done

# Version 2, with the name that a client asked for (TLV 2) and an id (TLV 5).
jq '.routes[0].action.sendProxyProtocol = 2' "$T/one.json" | config two
apply two
got=$(probe tcp 10.10.0.1:9500 -p 40005 -m helloEND)
expect_match "$got" '^0d0a0d0a000d0a515549540a2111[0-9a-f]{4}0a0a00020a0a00019c45251c.*68656c6c6f454e440a$'

# Before the first byte of a server that speaks first, too: the header does not wait for the client.
backend greets a G 10.20.0.2:7002
jq '.routes[0].action.targets[0].port = 7002' "$T/one.json" | config greets
apply greets
expect_eq "$(probe tcp 10.10.0.1:9500 -p 40006 --silent --lines 2 | tr -d '\r')" \
	$'G ready\nG|10.20.0.1|PROXY TCP4 10.10.0.2 10.10.0.1 40006 9500'
expect_exit 0 spctl down
