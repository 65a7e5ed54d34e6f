#!/bin/bash
# Established TCP connections live through 20 applies that change their target: every byte arrives.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
kept=',"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}'
to() { # HOST
	printf '{"routes":[{"name":"masq","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.%s","fd20::%s"],"port":7000}]}},
	{"name":"kept","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":["10.20.0.%s","fd20::%s"],"port":7000}]%s}}]}' \
		"$1" "$1" "$1" "$1" "$kept"
}
to 2 >"$T/2.json"
to 3 >"$T/3.json"
# Numbered lines of about a kilobyte, as fast as the answers come, until the file "stop" is there.
lines() {
	local i=0 pad
	pad=$(printf 'x%.0s' {1..1000})
	while [[ ! -e $T/stop ]]; do
		echo "$((i++)) $pad"
	done
}
talk() { # NAME NS ADDR:PORT
	lines | nsenter --net="/run/netns/$2" -- "$LAB_TOOLS/probe" tcp "$3" --hold >"$T/$1.out" 2>&1 &
	LAB_PIDS+=("$!")
	talkers+=("$!")
}
answers() { wc -l <"$T/$1.out"; }
more_than() { (($(answers "$1") > $2)); }

apply 2
talkers=()
talk m4 cl 10.10.0.1:9000
talk m6 cl '[fd10::1]:9000'
talk k4 cl 10.10.0.1:9001
talk k6 cl '[fd10::1]:9001'
talk gw gw 10.10.0.1:9000
for name in m4 m6 k4 k6 gw; do
	eventually more_than "$name" 10
done
for i in {1..20}; do
	apply $((2 + i % 2))
	expect_match "$out" '~ 2 routes \(kept, masq\)'
	# Each of them goes on after each apply.
	for name in m4 m6 k4 k6 gw; do
		eventually more_than "$name" $(($(answers "$name") + 2))
	done
done
apply 3
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
touch "$T/stop"
wait "${talkers[@]}" || fail 'a talker failed'
pad=$(printf 'x%.0s' {1..1000})
while read -r name from; do
	n=$(($(answers "$name") - 1))
	((n > 50)) || fail "$name: only $n answers"
	for ((i = 0; i < n; i++)); do
		echo "A|$from|$i $pad"
	done | cmp - <(tail -n +2 "$T/$name.out") || fail "$name: other bytes"
done <<-WHO
	m4 10.20.0.1
	m6 fd20::1
	k4 10.10.0.2
	k6 fd10::2
	gw 10.20.0.1
WHO
