#!/bin/bash
# Health of targets of kernel routes: found by the service, and followed by the table's slots.
. "${0%/*}/lib.sh"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen nft_hash
lab_up
STATUS=$'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r'
# pool: TCP checks; web: HTTP checks; hash: by client; udp: a TCP check of what serves UDP.
config pools <<'CONFIG'
{"connectionRateLimitPerMinute":0,"maxConnectionsPerIP":0,"routes":[
 {"name":"pool","match":{"ports":9000},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000},{"host":"10.20.0.4","port":7000}],
  "loadBalancing":{"healthCheck":{"interval":200,"timeout":150,"unhealthyThreshold":2,"healthyThreshold":2}}}},
 {"name":"web","match":{"ports":9001},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.2","port":8000},{"host":"10.20.0.3","port":8000}],
  "loadBalancing":{"healthCheck":{"path":"/live","interval":200,"timeout":150,"unhealthyThreshold":2,"healthyThreshold":2}}}},
 {"name":"hash","match":{"ports":9002},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}],
  "loadBalancing":{"algorithm":"ip-hash","healthCheck":{"interval":200,"timeout":150,"unhealthyThreshold":2,"healthyThreshold":2}}}},
 {"name":"udp","match":{"ports":9003,"transport":"udp"},"action":{"type":"forward",
  "targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}],
  "loadBalancing":{"healthCheck":{"interval":200,"timeout":150,"unhealthyThreshold":2,"healthyThreshold":2}}}}]}
CONFIG
serve a A -t '*:7000' -u '*:7000'
a=$lab_pid
serve b B -t '*:7000' -u '*:7000'
b=$lab_pid
serve fo C -t '*:7000'
serve a WA -t '*:8000' --greet "$STATUS"
serve b WB -t '*:8000' --greet "$STATUS"
wb=$lab_pid

status() { run spctl status --json; }
# target ROUTE HOST KEY: of `status --json`.
target() {
	status
	jq -r ".routes[] | select(.name == \"$1\") | .targets[] | select(.host == \"$2\") | .$3" <<<"$out"
}
is_down() { [[ $(target "$1" "$2" healthy) == false ]] && found_down "$1" && slots_settled; }
found_down() { [[ $(jq "[.down[] | select(.route == \"$1\")] | length" "$T/state/found") -ge ${n_down:-1} ]]; }
is_up() { [[ $(target "$1" "$2" healthy) == true ]] && slots_settled; }
# The table is what the file of findings says: then status, with no image to believe, sees no drift.
slots_settled() {
	rm -f "$T/run/image"
	status
	jq -e '.drift == false' <<<"$out"
}
# totals ROUTE: connections so far, by target in the order of the file.
totals() {
	status
	jq -c ".routes[] | select(.name == \"$1\") | [.targets[].total]" <<<"$out"
}

apply pools
expect_no_match "$err" 'not checked|not followed'
eventually is_up pool 10.20.0.2
expect_json "$out" '.generation == 1'
expect_answer $'A 4\nB 4\nC 4' tcp 10.10.0.1:9000 -n 12 --tally
expect_eq "$(totals pool)" '[4,4,4]'
hold kept cl tcp 10.10.0.1:9000
expect_hold kept 'A|10.20.0.1|one' one
hash_before=$(probe tcp 10.10.0.1:9002)
hash_before=${hash_before%%|*}

# 1. It refuses: nobody new goes there, the others share exactly; the open connection of A lives.
hold flow cl udp 10.10.0.1:9003
hold_say flow x
[[ $answer == B* ]] || { hold_close flow; hold flow cl udp 10.10.0.1:9003; hold_say flow x; }
expect_match "$answer" '^B'
from=$SECONDS
lab_stop "$b"
eventually is_down pool 10.20.0.3
is_slow || ((SECONDS - from <= 3)) || fail "it took $((SECONDS - from)) s"
expect_answer $'A 6\nC 6' tcp 10.10.0.1:9000 -n 12 --tally
expect_eq "$(totals pool | jq -c '[.[0] - 5, .[1] - 4, .[2] - 4]')" '[6,0,6]'
expect_hold kept 'A|10.20.0.1|two' two
expect_exit 0 spctl status
expect_match "$out" '10\.20\.0\.3:7000 DOWN'
eventually is_down hash 10.20.0.3
expect_answer $'A 8' tcp 10.10.0.1:9002 -n 8 --tally
# The UDP flow would talk to the dead for ever.
eventually is_down udp 10.20.0.3
flow_goes_to_a() { hold_say flow y && [[ $answer == A* ]]; }
eventually flow_goes_to_a

# 2. The same file again changes nothing, and brings nobody back.
apply pools
expect_match "$out" 'nothing to do: generation 1'
expect_answer $'A 6\nC 6' tcp 10.10.0.1:9000 -n 12 --tally
# Neither does another file.
jq '.routes += [{"name":"more","match":{"ports":9009},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]' \
	"$T/pools.json" >"$T/more.json"
apply more
expect_match "$out" 'generation 2 is live'
expect_answer $'A 6\nC 6' tcp 10.10.0.1:9000 -n 12 --tally
is_down pool 10.20.0.3 || fail 'another file took it up'

# 3. Nor a service that is killed and comes back: the kernel does not notice, the new one knows.
kill -9 "$(controller_pid)"
expect_answer $'A 6\nC 6' tcp 10.10.0.1:9000 -n 12 --tally
apply more
is_down pool 10.20.0.3 || fail 'a new service took it up'
expect_answer $'A 6\nC 6' tcp 10.10.0.1:9000 -n 12 --tally

# 4. It is there again.
serve b B -t '*:7000' -u '*:7000'
b=$lab_pid
eventually is_up pool 10.20.0.3
expect_answer $'A 4\nB 4\nC 4' tcp 10.10.0.1:9000 -n 12 --tally
eventually is_up hash 10.20.0.3
expect_match "$(probe tcp 10.10.0.1:9002)" "^$hash_before"

# 5. One that accepts and never answers: only an HTTP check finds it.
lab_stop "$wb"
serve b WB -t '*:8000' --mute
eventually is_down web 10.20.0.3
before=$(totals web)
for _ in {1..6}; do
	expect_match "$(probe tcp 10.10.0.1:9001)" 'HTTP|WA'
done
expect_eq "$(totals web)" "$(jq -c '.[0] += 6' <<<"$before")"

# 6. All are down: all are tried, and status says so.
lab_stop "$b"
eventually is_down hash 10.20.0.3
lab_stop "$a"
n_down=2 eventually is_down hash 10.20.0.2
expect_exit 1 spctl status
expect_match "$out$err" 'route "hash": all targets are down'
before=$(totals udp)
serve b B -u '*:7000'
answers_b() { [[ $(probe udp 10.10.0.1:9003 -w 200) == B* ]]; }
eventually answers_b
expect_exit 0 spctl down
[[ $(jq -c .down "$T/state/found") == '[]' ]] || fail 'down left who is down'
