#!/bin/bash
# Copies of listening sockets that systemd keeps: what no route has any more is given up, and while the service
# drains nobody waits in one of them.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool python3
lab_up
serve a A -t '*:7000'
config routes <<'END'
{"gracefulShutdownTimeout":600000,"routes":[{"name":"web","match":{"ports":8000},
 "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
END

# systemd's part: a store, by name, that is handed to the service when it starts.
cat >"$T/manager.py" <<'END'
import os, signal, socket, sys
path, program, pidfile = sys.argv[1:4]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
old = socket.socket(socket.AF_INET6)
old.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
old.bind(("::", 8009))
old.listen(100)
store = {"any/8009/0": [old.detach()]}
pid = os.fork()
if not pid:
    os.dup2(store["any/8009/0"][0], 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="any/8009/0", NOTIFY_SOCKET=path)
    os.execv(program, ["spctl", "run", "--workers", "2"])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print(pid, file=open(pidfile, "w"), flush=True)
while True:
    text, fds, _, _ = socket.recv_fds(notify, 4096, 8)
    lines = text.decode().split("\n")
    name = next((l[7:] for l in lines if l.startswith("FDNAME=")), None)
    if "FDSTORE=1" in lines:
        store.setdefault(name, []).extend(fds)
    if "FDSTOREREMOVE=1" in lines:
        for fd in store.pop(name, []):
            os.close(fd)
    print(" ".join(lines), flush=True)
END
lab_start gw "$T/manager" python3 "$T/manager.py" "$T/notify" "$SPCTL" "$T/pid"
eventually grep -q '^READY=1' "$T/manager"
# One that no route has.
eventually grep -qx 'FDSTOREREMOVE=1 FDNAME=any/8009/0' "$T/manager"
eventually expect_no_listener 8009
expect_refused tcp 10.10.0.1:8009

apply routes
eventually grep -q '^FDSTORE=1 .*FDNAME=any/8000/1' "$T/manager"
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one
kill -TERM "$(cat "$T/pid")"
eventually expect_no_listener 8000
expect_refused tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|two' two
hold_close kept
gone() { [[ $(pgrep -cx spctl || :) == 0 ]]; }
eventually gone
