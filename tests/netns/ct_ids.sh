#!/bin/bash
# An apply that changes nothing ends nothing: all conntrack entries are the same before and after,
# with --kill too, and whatever was read from the kernel.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq nft_redir
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
serve gw L -t '*:8100' -u '127.0.0.1:8100'
config all <<'EOF2'
{"routes":[
 {"name":"masq","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3","fd20::2"],"port":7000}]}},
 {"name":"kept","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}],"forwardingEngine":"nftables","nftables":{"preserveSourceIP":true}}},
 {"name":"loop","match":{"ports":9002,"transport":"all"},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8100}]}},
 {"name":"hash","match":{"ports":"9010-9030","transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"loadBalancing":{"algorithm":"ip-hash"}}},
 {"name":"range","match":{"ports":"7000-7040","transport":"all","clientIp":["10.10.0.0/24"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"preserve"}]}}]}
EOF2
apply all
n=0
open() {
	hold "h$((n))" "$@"
	hold_say "h$n" x
	[[ $answer == *'|x' ]] || fail "$*: $answer"
	n=$((n + 1))
}
for proto in tcp udp; do
	for port in 9000 9001; do
		open cl $proto "10.10.0.1:$port"
		open cl $proto "10.10.0.1:$port" -s 10.10.0.3
		open cl $proto "[fd10::1]:$port"
		open b $proto "10.20.0.1:$port"
	done
	open cl $proto 10.10.0.1:9002
	open gw $proto 127.0.0.1:9000
	open gw $proto 127.0.0.1:9002
	open cl $proto 10.10.0.1:9015
	open cl $proto 10.10.0.1:7000
done
ids() { { gw conntrack -L -o id; gw conntrack -L -f ipv6 -o id; } 2>/dev/null; }
only_ids() { ids | grep -oE '(id=[0-9]+)' | sort -u; }
before=$(only_ids)
(($(wc -l <<<"$before") >= n)) || fail "$n connections, but $(wc -l <<<"$before") entries"
same() { expect_eq "$(only_ids)" "$before" "conntrack ids after $1"; }

expect_exit 0 spctl apply "$T/all.json"
expect_match "$out" 'nothing to do'
same 'an apply of the same file'
expect_exit 0 spctl apply "$T/all.json" --kill --json
expect_json "$out" '.flowsEnded == 0'
same 'the same with --kill'
rm "$T/run/image"
expect_exit 0 spctl apply "$T/all.json" --drain 1
same 'the same after reading the kernel'
jq . "$T/all.json" >"$T/pretty.json"
apply pretty --kill
expect_match "$out" 'no route changes'
same 'the same routes in another file'
expect_exit 0 spctl apply "$T/all.json" --dry-run --kill
same 'a dry run'
gw nft delete element inet spctl to4 '{ tcp . 9001 }'
expect_exit 0 spctl apply "$T/pretty.json" --kill
expect_match "$out" 'repaired'
same 'a repair'
for ((i = 0; i < n; i++)); do
	hold_say "h$i" y
	[[ $answer == *'|y' ]] || fail "h$i: $answer"
done
