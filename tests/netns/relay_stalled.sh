#!/bin/bash
# A receiver that stops in the middle of a fast stream: what the gateway holds for it stays under 16 MB although the
# kernel would let its buffers grow to more.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_tool python3
(($(cat /proc/sys/net/core/rmem_max) >= 4194304)) || skip "net.core.rmem_max is less than the bound: the kernel's own holds"
lab_up
gw sh -c 'echo 4096 131072 67108864 >/proc/sys/net/ipv4/tcp_rmem'
cat >"$T/receiver.py" <<'PY'
import signal, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("10.20.0.2", 7000))
s.listen()
print("ready", flush=True)
c, _ = s.accept()
n = 0
while n < 400 << 20:
    n += len(c.recv(1 << 20))
print("stalls", flush=True)
signal.pause()
PY
cat >"$T/sender.py" <<'PY'
import socket, time
c = socket.create_connection(("10.10.0.1", 9000))
c.setblocking(False)
block = bytes(1 << 20)
last = time.monotonic()
while time.monotonic() - last < 2:
    try:
        c.send(block)
        last = time.monotonic()
    except BlockingIOError:
        time.sleep(0.001)
print("full", flush=True)
time.sleep(1000)
PY
lab_start a "$T/receiver.log" python3 "$T/receiver.py"
receiver=$lab_pid
eventually grep -q ready "$T/receiver.log"
apply_config <<'E'
{"routes":[{"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
lab_start cl "$T/sender.log" python3 "$T/sender.py"
EVENTUALLY=60 eventually grep -q full "$T/sender.log"
expect_eq "$(tail -n 1 "$T/receiver.log")" stalls 'the receiver'
held=$(gw ss -Htn state established '( sport = 9000 or dport = 7000 )' | awk '{ n += $1 + $2 } END { print n + 0 }')
echo "in both sockets: $held bytes"
((held > 0 && held + (1 << 20) < 16 << 20)) || fail "$held bytes are held in the sockets, and up to a pipe of 1 MiB"
expect_json "$(spctl status --json)" '.routes[0].movers.splice == 1'
lab_stop "$receiver"
expect_idle
