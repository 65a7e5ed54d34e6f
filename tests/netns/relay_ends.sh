#!/bin/bash
# How connections end: a FIN is a FIN and leaves the other direction open, a reset is a reset, both ways; nothing
# ends because somebody is quiet. Pitfalls 12 (both spellings of a list), 13 (CIDR in it), 16, 17, 18, 19, 21, 31.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool python3
lab_up
cat >"$T/server.py" <<'E'
import socket, struct, sys, threading, time
# By the first line: what this side does.
def one(c):
    f = c.makefile("rwb", buffering=0)
    word = f.readline().strip().decode()
    if word == "fin":                       # ends its direction, and reads on to the client's end
        f.write(b"mine is over\n"); c.shutdown(socket.SHUT_WR)
        rest = f.read()
        open(sys.argv[1] + "/late", "w").write("%d" % len(rest))
    elif word == "count":                   # waits for the client's end, then answers for long
        rest = f.read()
        for i in range(4):
            f.write(b"%d\n" % len(rest)); time.sleep(0.8)
    elif word == "reset":
        f.write(b"half of")
        time.sleep(0.2)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif word == "watch":                   # how the client's end is seen
        try:
            f.write(b"go\n")
            f.read()
            how = "fin"
        except ConnectionResetError:
            how = "reset"
        open(sys.argv[1] + "/seen", "w").write(how)
    elif word == "quiet":
        c.settimeout(4)
        try:
            got = c.recv(1)
        except socket.timeout:
            got = None
        open(sys.argv[1] + "/quiet", "w").write("nothing" if got is None else repr(got))
    f.close(); c.close()
s = socket.create_server(("10.20.0.2", 7000))
print("ready", flush=True)
while True:
    threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()
E
lab_start a "$T/server.log" python3 -u "$T/server.py" "$T"
eventually grep -q ready "$T/server.log"
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"listed","match":{"ports":9001},"security":{"allowedIps":["10.10.0.0/30"]},
  "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
cat >"$T/client.py" <<'E'
import socket, struct, sys, time
word, what = sys.argv[1:3]
s = socket.create_connection(("10.10.0.1", 9000))
s.settimeout(10)
def end():
    got = b""
    try:
        while True:
            b = s.recv(65536)
            if not b:
                return got, "fin"
            got += b
    except ConnectionResetError:
        return got, "reset"
s.sendall(word.encode() + b"\n")
if what == "half":           # the client's direction ends first
    s.sendall(b"x" * 1000000); s.shutdown(socket.SHUT_WR); print(*end())
elif what == "after":        # the server's ended: ours goes on for a while
    print(*end())
    for i in range(10):
        s.sendall(b"y" * 100000); time.sleep(0.1)
elif what == "reset":
    s.recv(100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
elif what == "fin":
    s.recv(100)
elif what == "wait":
    print(*end())
elif what == "quiet":
    time.sleep(4.5)
s.close()
E
client() { lab_in cl timeout $((20 * STRETCH)) python3 "$T/client.py" "$@"; }
written() { [[ -s $T/$1 ]]; }
# Quiet on both sides, all this time: no byte of ours, no end.
lab_start cl "$T/quiet.log" python3 "$T/client.py" quiet quiet

expect_eq "$(client count half)" "b'1000000\\n1000000\\n1000000\\n1000000\\n' fin" 'half-close of the client'
expect_eq "$(client fin after)" "b'mine is over\\n' fin" 'half-close of the target'
eventually written late
expect_eq "$(cat "$T/late")" 1000000
expect_eq "$(client reset wait)" "b'half of' reset" 'a reset of the target'
for how in reset fin; do
	rm -f "$T/seen"
	client watch $how
	eventually written seen
	expect_eq "$(cat "$T/seen")" $how "the client's $how"
done
eventually written quiet
expect_eq "$(cat "$T/quiet")" nothing
expect_idle
# Each byte of the client's was counted, and once: words, and what came after.
words=$((6 + 1000000 + 4 + 1000000 + 6 + 6 + 6 + 6))
expect_eq "$(plane_routes '.[0].bytesIn')" $words

# Old name, and a prefix: it is enforced.
hold listed cl tcp 10.10.0.1:9001
hold_close listed
expect_match "$(probe tcp 10.10.0.1:9001 -s 10.10.0.9)" '^(reset|closed|refused)$'

# Domains on a port that is neither TLS nor HTTP: nobody has to guess why it does not match.
config plain <<'E'
{"routes":[{"name":"names","match":{"ports":9002,"domains":"db.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
run spctl plan "$T/plain.json"
expect_match "$out$err" 'HTTP' 'domains without TLS'
expect_exit 0 spctl down
