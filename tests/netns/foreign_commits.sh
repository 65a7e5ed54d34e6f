#!/bin/bash
# Another tool commits all the time while routes are applied: nobody loses a change.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

config to_a <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":"9000-9003"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/to_a.json" >"$T/to_b.json"
gw nft -f - <<'RULES'
table inet other {
	set s { type inet_service; }
	chain c { type filter hook input priority 0; policy accept; tcp dport @s drop; }
}
RULES
cat >"$T/busy" <<'SCRIPT'
#!/bin/bash
i=0
while [[ ! -e $1/stop ]]; do
	i=$((i + 1))
	nft add element inet other s "{ $i }" || exit 1
	echo "$i" >"$1/done"
done
SCRIPT
lab_start gw "$T/busy.log" bash "$T/busy" "$T"
busy=$lab_pid
eventually test -s "$T/done"
first=$(<"$T/done")
for ((i = 0; i < 10; i++)); do
	apply to_a
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	apply to_b
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9003
done
touch "$T/stop"
rc=0
wait "$busy" || rc=$?
[[ $rc == 0 ]] || fail "the other tool failed: $(cat "$T/busy.log")"
last=$(<"$T/done")
((last > first + 20)) || fail "only $((last - first)) foreign commits"
expect_eq "$(gw nft -j list set inet other s | jq '[.nftables[].set.elem // empty | .[]] | length')" "$last" 'elements of the other table'
expect_exit 0 spctl status
expect_exit 0 spctl down
expect_eq "$(gw nft list tables)" 'table inet other'
