#!/bin/bash
# 10000 connections that are dropped, refused, or leave early: a second later nobody is counted, and no descriptor and
# no memory is left. Pitfalls 5, 6, 8, 9 (a limit is checked first), 24, 27, 28 (tables of addresses are pruned).
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool python3
lab_up
reuse_ports
serve a A -t '*:7000'
backend refuses b R 10.20.0.3:7000
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"proxyIPs":["10.10.0.9"],"routes":[
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"dead","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"sni","match":{"ports":9002,"domains":"*.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"tls":{"mode":"passthrough"}}},
 {"name":"limited","match":{"ports":9003},"security":{"maxConnections":1},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"announced","match":{"ports":9004},"security":{"maxConnectionsPerIP":5},"action":{"type":"forward","acceptProxyProtocol":true,"forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
cat >"$T/churn.py" <<'E'
import random, socket, struct, sys
rng = random.Random(int(sys.argv[1]))
done = 0
while done < int(sys.argv[2]):
    batch = []
    for i in range(rng.randint(1, 40)):
        port = 9000 + rng.randrange(5)
        s = socket.socket()
        if port == 9004:
            s.bind(("10.10.0.9", 0))
        s.setblocking(False)
        try:
            s.connect(("10.10.0.1", port))
        except BlockingIOError:
            pass
        batch.append((s, port))
        done += 1
    for s, port in batch:
        how = rng.randrange(6)
        try:
            if how == 0:                         # leaves at once, perhaps before it is connected
                continue
            s.setblocking(True); s.settimeout(5)
            if port == 9004:
                s.sendall(b"PROXY TCP4 %d.%d.%d.%d 10.10.0.1 1 2\r\n" % tuple(rng.randrange(1, 250) for _ in "abcd"))
            if how == 1:
                s.sendall(b"\x16\x03\x01\x02\x00")
            elif how == 2:
                s.sendall(b"hi\n"); s.recv(100)
            elif how == 3:
                s.shutdown(socket.SHUT_WR)
            elif how == 4:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    for s, port in batch:
        s.close()
print("done", done)
E
churn() { # SEED N: two at a time
	local pids=() i
	for i in 1 2; do
		lab_start cl "$T/churn.$i.log" timeout $((60 * STRETCH)) python3 "$T/churn.py" $(($1 * 10 + i)) $(($2 / 2))
		pids+=("$lab_pid")
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "churn: $(tail -n 3 "$T"/churn.*.log)"
	done
}
# Once round, so that everything is there that stays (buffers, a table of addresses at its size).
churn 1 2000
expect_idle
fds=$(plane_fds) pid=$(plane_pid) before=$(plane_rss_kb)
churn 2 10000
expect_idle
after=$(plane_rss_kb)
expect_eq "$(plane_fds)" "$fds" 'open files'
expect_eq "$(plane_pid)" "$pid" 'the same dataplane'
no_socket() { [[ $(gw ss -Htnp state established) != *"pid=$pid,"* ]]; }
eventually no_socket
is_slow || ((after - before <= 2048)) || fail "from $before to $after kB"
echo "memory: from $before to $after kB"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9003
# Each way was really gone.
for reason in closed_before_data connect_failed route_limit; do
	(($(refusals $reason) > 100)) || fail "$reason: $(refusals $reason)"
done
expect_exit 0 spctl down
