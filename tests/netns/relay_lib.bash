# shellcheck shell=bash
# relay_lib: for the tests of what a relay does: TLS servers that tell which of them answered, and
# servers that behave badly. All clients are in cl, servers where the test puts them.

# tls_certs NAME...: a key and its certificate with CN=NAME each, in $T/NAME.key and $T/NAME.pem.
tls_certs() {
	local name
	need_tool openssl
	for name; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
			-days 2 -keyout "$T/$name.key" -out "$T/$name.pem" >"$T/openssl.log" 2>&1 ||
			fail "no certificate: $(cat "$T/openssl.log")"
	done
}

# tls_serve NS NAME ADDR:PORT [OPTION...]: answers each line with the line reversed, one connection
# after the other, under the certificate of tls_certs. Listens when this returns; pid in $lab_pid.
tls_serve() {
	local ns=$1 name=$2 at=$3
	shift 3
	lab_start "$ns" "$T/tls.$name.${at##*:}.log" openssl s_server -accept "$at" -cert "$T/$name.pem" \
		-key "$T/$name.key" -rev "$@"
	eventually grep -q '^ACCEPT' "$T/tls.$name.${at##*:}.log"
}

# tls_client SNI ADDR:PORT [OPTION...]: stdin to the server, all of s_client's words in $T/tls.
# SNI - is a client that names none.
tls_client() {
	local name=(-servername "$1") at=$2
	shift 2
	[[ ${name[1]} != - ]] || name=(-noservername)
	lab_in cl timeout $((10 * STRETCH)) openssl s_client -connect "$at" "${name[@]}" -no_ign_eof "$@" \
		>"$T/tls" 2>&1 || :
}

# tls_word: how the last tls_client ended: a certificate's CN, "alert N", refused, reset or closed.
tls_word() {
	sed -nE '
		s/^subject=.*CN ?= ?//p; t end
		s/^.*SSL alert number ([0-9]+)$/alert \1/p; t end
		s/^.*(connect|Connection).*refused.*$/refused/p; t end
		s/^(read|write|.*connect).*errno=104$/reset/p; t end
		s/^.*Connection reset by peer.*$/reset/p; t end
		b
		:end
		q' "$T/tls" | grep . || echo closed
}

# tls_cn SNI ADDR:PORT [OPTION...]: which certificate answers, or the word for what came instead.
tls_cn() {
	tls_client "$@" </dev/null
	tls_word
}

# tls_say SNI ADDR:PORT TEXT: what a tls_serve makes of the text.
tls_say() {
	# It closes when it reads CLOSE: no waiting for an answer that has no end.
	printf '%s\nCLOSE\n' "$3" | tls_client "$1" "$2" -quiet -ign_eof
	tail -n 1 "$T/tls"
}

expect_cn() { # WANTED SNI ADDR:PORT [OPTION...]
	local want=$1 got
	shift
	got=$(tls_cn "$@")
	[[ $got == "$want" ]] || fail "TLS to $2 for $1: expected \"$want\", got \"$got\": $(tail -n 5 "$T/tls")"
}

# backend KIND NS TAG ADDR:PORT [ARG]: a server that
#   answers        a line with TAG|PEER|LINE         greets         so, and says "TAG ready" first
#   refuses        is not there                      mute           takes all and never answers
#   deaf           accepts, and never reads          resets [BYTES] so many bytes into a connection (0)
#   pours [BYTES]  sends them, then resets (65536)   lost           never answers a SYN
# Listens (or does not) when this returns; the pid is in $lab_pid, where there is one.
backend() {
	local kind=$1 ns=$2 tag=$3 at=$4 arg=${5-}
	# shellcheck disable=SC2034 # for the test
	lab_pid=''
	case $kind in
	answers) serve "$ns" "$tag" -t "$at" ;;
	greets) serve "$ns" "$tag" -t "$at" --greet "$tag ready" ;;
	mute | deaf) serve "$ns" "$tag" -t "$at" "--$kind" ;;
	resets) serve "$ns" "$tag" -t "$at" --reset "${arg:-0}" ;;
	pours) serve "$ns" "$tag" -t "$at" --source "${arg:-65536}" --reset "${arg:-65536}" ;;
	refuses)
		[[ -z $(srv "$ns" ss -Hltn "sport = ${at##*:}") ]] || fail "port ${at##*:} of $ns is served"
		;;
	lost)
		srv "$ns" nft -f - <<-END
			table inet lost_${at##*:} { chain c {
			 type filter hook input priority 0; tcp dport ${at##*:} drop; }; }
		END
		;;
	*) fail "backend: no kind $kind" ;;
	esac
}
# backend_found NS PORT: a lost one is there again, as far as something listens.
backend_found() { srv "$1" nft delete table inet "lost_$2"; }

# held_bytes NS PORT: what the sockets of a server have got, and nobody has read.
held_bytes() {
	srv "$1" ss -Htn state established "sport = $2" | awk '{ n += $1 } END { print n + 0 }'
}
