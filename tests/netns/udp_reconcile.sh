#!/bin/bash
# UDP senders that never pause, through 20 applies that change their target: two seconds after each
# no flow leads to the removed target, and the new one answers.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -u '*:7000'
serve b B -u '*:7000'
to() { # HOST
	printf '{"routes":[{"name":"udp","match":{"ports":"5300-5303","transport":"udp"},"action":{"type":"forward","targets":[{"host":["10.20.0.%s","fd20::%s"],"port":7000}]}}]}' "$1" "$1"
}
to 2 >"$T/A.json"
to 3 >"$T/B.json"
# A line every 10 ms, answered or not.
sender() { # NAME ADDR:PORT
	{
		while :; do
			echo x
			sleep 0.01
		done
	} | nsenter --net=/run/netns/cl -- "$LAB_TOOLS/probe" udp "$2" --hold -w 100 >"$T/$1.out" 2>&1 &
	LAB_PIDS+=("$!")
}
# What makes the machine slow to answer: connections come and go, and both CPUs have work.
busy() {
	while :; do :; done &
	LAB_PIDS+=("$!")
}

apply A
senders=(s1 s2 s3 s4)
sender s1 10.10.0.1:5300
sender s2 10.10.0.1:5301
sender s3 '[fd10::1]:5302'
sender s4 '[fd10::1]:5303'
busy
busy
flows() { { gw conntrack -L -p udp; gw conntrack -L -f ipv6 -p udp; } 2>/dev/null | sort -u; }
# 2 or 3: those whose answers come from there
flows_to() { flows | grep -cE "dport=530[0-3] src=(10\.20\.0\.|fd20::)$1 " || :; }
none_to() { [[ $(flows_to "$1") == 0 ]]; }
last_is() { [[ $(tail -n 1 "$T/$1.out") == "$2|"* ]]; }
for s in "${senders[@]}"; do
	eventually last_is "$s" A
done
(($(flows_to 2) >= 4)) || fail "the test does not see the flows: $(flows)"
for i in {1..20}; do
	new=$([[ $((i % 2)) == 1 ]] && echo B || echo A)
	old=$([[ $new == B ]] && echo 2 || echo 3)
	apply "$new"
	end=$((${EPOCHREALTIME/[.,]/} + 2000000))
	# At the very end of apply already, not only in time.
	expect_eq "$(flows_to "$old")" 0 "flows to the removed target after apply $i"
	for s in "${senders[@]}"; do
		until last_is "$s" "$new"; do
			((${EPOCHREALTIME/[.,]/} < end)) || fail "$s, apply $i: still \"$(tail -n 1 "$T/$s.out")\""
			sleep 0.02
		done
	done
	none_to "$old" || fail "a flow to the removed target came back after apply $i"
done
