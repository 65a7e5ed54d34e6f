#!/bin/bash
# Files of ours that are lost, one after the other: no command lies, none gets stuck.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
config one <<'EOF'
{"routes":[{"name":"x","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"y","match":{"ports":9001,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF
config y <<'EOF'
{"routes":[{"name":"y","match":{"ports":9001,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
flow_ids() { gw conntrack -L -o id -p udp --orig-port-dst 9001 2>/dev/null | sed -E 's/.* id=([0-9]+).*/\1/' | sort; }

# The copy of the kernel's table: the numbers of the routes outlive it, so nothing changes.
apply one
apply y
hold udp cl udp 10.10.0.1:9001
expect_hold udp 'B|10.20.0.1|a' a
before=$(flow_ids)
rm "$T/run/image"
apply y
expect_match "$out" 'nothing to do'
expect_eq "$(flow_ids)" "$before" 'conntrack ids after an apply that changes nothing'
expect_hold udp 'B|10.20.0.1|b' b
rm -rf "$T/run"
apply y
expect_match "$out" 'nothing to do'
expect_eq "$(flow_ids)" "$before" 'conntrack ids after RUN was lost'

# Without it drift is still seen.
rm "$T/run/image"
expect_exit 0 spctl status
gw nft flush chain inet spctl dec4
expect_exit 1 spctl status
expect_match "$out" 'changed'
apply y
expect_exit 0 spctl status

# Without the numbers either nothing can be compared, and that is not "all is well".
rm "$T/run/image" "$T/state/ids"
gw nft flush chain inet spctl dec4
expect_exit 1 spctl status
apply y
expect_exit 0 spctl status

# The generations: apply and down work, status does not say that all is well.
rm -rf "$T/state/applied"
expect_exit 1 spctl status
apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
rm -rf "$T/state/applied"
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
expect_exit 0 spctl status

# Which generation is live: the table says so. What was confirmed is what comes back.
apply one
generation=$(cat "$T/state/live")
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
for damage in lost damaged; do
	eventually no_timer # it would find out first
	rm "$T/state/live"
	if [[ $damage == damaged ]]; then
		echo nonsense >"$T/state/live"
		expect_exit 1 spctl status
		expect_match "$err" "hint: remove that file; the kernel's table knows its generation"
		rm "$T/state/live"
	fi
	expect_exit 0 spctl status --json
	expect_json "$out" ".generation == $generation and .drift == false"
	expect_exit 0 spctl apply "$T/y.json" --confirm 600
	expect_match "$err" "which generation is live was lost; the kernel's table says $generation"
	expect_exit 1 spctl status --json
	expect_json "$out" ".confirm.previous == $generation"
	expect_exit 0 spctl rollback
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
done
# Its record is lost as well: nothing could come back after a --confirm.
rm "$T/state/live" "$T/state/applied/$generation.json"
expect_exit 1 spctl apply "$T/y.json" --confirm 600
expect_match "$err" 'hint: .*without --confirm'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
apply one

# All of STATE: the table is not ours to touch any more, and the error says what to do.
apply one
rm -rf "$T/state"
expect_exit 1 spctl apply "$T/one.json"
expect_match "$err" 'another spctl instance'
expect_match "$err" 'ip_forward'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
hold_close udp
