#!/bin/bash
# What the benchmarks measure with does what it says: load, loadd and hold over plain routing, and
# each of them sees what goes wrong.
. "${0%/*}/lib.sh"
need_tool openssl
lab_up --routes
here=10.20.0.2:7000
load() { lab_in cl "$LAB_TOOLS/load" "$@"; }
server() { # ARG...: loadd in a
	nsenter --net=/run/netns/a -- "$LAB_TOOLS/loadd" "$@" >"$T/loadd.log" &
	server_pid=$!
	LAB_PIDS+=("$server_pid")
	eventually test -s "$T/loadd.log"
}
holder() { # ARG...: hold in cl, its lines in $T/held
	: >"$T/held"
	nsenter --net=/run/netns/cl -- "$LAB_TOOLS/hold" "$@" >"$T/held" &
	holder_pid=$!
	LAB_PIDS+=("$holder_pid")
	EVENTUALLY=30 eventually test -s "$T/held"
}
holder_end() { # leaves its exit code in $code
	code=0
	kill -TERM "$holder_pid"
	wait "$holder_pid" || code=$?
}
held_in() { srv a ss -Htn state established 'sport = :7000' | awk '{ n++; q += $1 } END { print n + 0, q + 0 }'; }

server $here
expect_exit 0 load conn $here -d 1 -c 8
expect_json "$out" '.n > 0 and .failed == 0 and .p50us > 0 and .bytes == .n * 64'
expect_exit 0 load keep $here -d 1 -c 8
expect_json "$out" '.n > 8 and .failed == 0 and .p50us <= .p99us'
for mode in bulk check; do
	expect_exit 0 load $mode $here -d 1 -c 4
	expect_json "$out" '.n == 4 and .failed == 0 and .bytes > 100000'
done

# As many streams as it says, over as many connections, and seconds that go on to their end.
expect_exit 0 load bulk $here -d 1 -c 64
expect_json "$out" '.n == 64 and .failed == 0 and .seconds >= 1'

# The server knows a hello by its record, however long a question is else.
expect_exit 0 load conn $here -d 1 -c 4 --hello some.example.test
expect_json "$out" '.n > 0 and .failed == 0'
expect_exit 2 load keep $here -d 1 --hello some.example.test
expect_exit 2 load conn $here -d 1 --hello "$(printf '%0600d' 0)"

# Idle ones are there, all of them, and stay.
holder idle $here -c 300
expect_json "$(cat "$T/held")" '.held == 300 and .failed == 0'
expect_match "$(held_in)" '^300 0$'
holder_end
expect_eq "$code $(tail -n 1 "$T/held")" '0 {"alive":300}'

# Nothing between: what was sent is with the sender or with the receiver, to the byte.
holder stall $here -d 1
read -r _ at_receiver < <(held_in)
expect_json "$(cat "$T/held")" ".queued > 0 and .sent - .queued == $at_receiver"
holder_end
expect_eq "$code $(tail -n 1 "$T/held")" '0 {"alive":1}'

# Questions and answers of other lengths than the server's are seen.
expect_exit 1 load conn $here -d 1 -r 63
expect_json "$out" '.wrong > 0'

# Connections that are closed while they are held, and a server that is not there.
holder idle $here -c 20
kill -KILL "$server_pid"
wait "$server_pid" || :
none_held() { [[ $(held_in) == "0 0" ]]; }
eventually none_held
holder_end
expect_eq "$code $(tail -n 1 "$T/held")" '1 {"alive":0}'
expect_exit 1 load conn $here -d 1
expect_json "$out" '.n == 0 and .refused > 0'
holder idle $here -c 5
expect_json "$(head -n 1 "$T/held")" '.held == 0 and .failed == 5'
holder_end
expect_eq "$code" 1

# A real TLS server takes the hello, and reads the name in it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a -days 2 \
	-keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
nsenter --net=/run/netns/a -- openssl s_server -accept $here -key "$T/key.pem" -cert "$T/cert.pem" \
	-servername some.example.test -cert2 "$T/cert.pem" -key2 "$T/key.pem" -www >"$T/tls.log" 2>&1 &
LAB_PIDS+=("$!")
eventually grep -q ACCEPT "$T/tls.log"
run load conn $here -d 1 --hello some.example.test
expect_json "$out" '.wrong > 0' 'a ServerHello is longer than 64 bytes'
eventually grep -q 'Hostname in TLS extension: "some.example.test"' "$T/tls.log"
