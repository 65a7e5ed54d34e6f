#!/bin/bash
# rollback: an earlier generation's file, with the addresses that its names had, as a new generation.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
# The name leads to A now; later it leads nowhere.
mkdir -p "$T/etc"
cp /etc/hosts "$T/etc/hosts"
mount --bind "$T/etc/hosts" /etc/hosts
echo '10.20.0.2 target.test' >>"$T/etc/hosts"
config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"target.test","port":7000}]}}]}
CONFIG
config two <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"more","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

expect_exit 1 spctl rollback
expect_match "$err" 'nothing was ever applied'
[[ ! -e $T/state ]] || fail 'rollback made a state directory'
apply one
expect_exit 1 spctl rollback
expect_match "$err" 'no confirmed generation before 1 is kept'
apply two
expect_match "$(tail -n 1 <<<"$out")" "^to go back: spctl rollback 1"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
hold tcp cl tcp 10.10.0.1:9000
hold udp cl udp 10.10.0.1:9000

# Without a name service, and with the file changed since.
cp "$T/two.json" "$T/one.json"
cp /dev/null "$T/etc/hosts"
echo 'nameserver 127.0.0.9' >"$T/etc/resolv.conf"
mount --bind "$T/etc/resolv.conf" /etc/resolv.conf 2>/dev/null || :
expect_exit 0 spctl rollback
expect_match "$out" 'generation 3 is live: a copy of generation 1, [0-9]+ elements? added, [0-9]+ deleted'
expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl rollback 2'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer refused tcp 10.10.0.1:9001
# As after any apply: TCP goes on where it is, UDP follows its route.
expect_hold tcp 'B|10.20.0.1|one' one
expect_hold udp 'A|10.20.0.1|one' one
expect_exit 0 spctl status
expect_match "$out" "^generation 3, .*one.json"
expect_match "$(spctl history)" '3 .* live, copy of 1'

# Again: the one before is generation 2 now. By its number: any that is kept.
expect_exit 0 spctl rollback --json
expect_json "$out" '.generation == 4 and .copyOf == 2 and .changed and .confirm == null'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl rollback 1
expect_match "$out" 'generation 5 is live: a copy of generation 1'
expect_exit 0 spctl rollback 3
expect_match "$out" 'nothing to do: generation 5, which is live, is what generation 3 was'
expect_exit 0 spctl rollback 5
expect_match "$out" 'nothing to do: generation 5 is live'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_hold tcp 'B|10.20.0.1|two' two
for bad in 0 x 1x -3 4294967296; do
	expect_exit 2 spctl rollback "$bad"
done
expect_exit 1 spctl rollback 77
expect_match "$err" 'generation 77 is not kept.*hint: see: spctl history'

# After down, and after down and a lost RUN.
hold_close tcp
hold_close udp
expect_exit 0 spctl down
expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl rollback 5'
rm -rf "$T/run"
expect_exit 0 spctl rollback
expect_match "$out" 'generation 6 is live: a copy of generation 5'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# With --confirm, as apply; and taking back at once what waits.
expect_exit 0 spctl rollback 2 --confirm 60
expect_match "$out" 'generation 7 waits for confirmation.*else generation 6 comes back in'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 1 spctl rollback --confirm 60
expect_match "$err" 'generation 7 waits for confirmation'
expect_exit 0 spctl rollback
expect_match "$out" 'generation 7 is taken back: generation 6 is live'
expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl apply .*/applied/7.config'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 6 and .confirm == null and .drift == false'
back() { [[ $(probe tcp 10.10.0.1:9000) == A* ]]; }
expect_exit 0 spctl rollback 2 --confirm 1
eventually back
expect_exit 0 spctl rollback 2 --confirm 60
expect_exit 0 spctl confirm
expect_match "$out" 'generation 9 is confirmed'

# What nobody confirmed is not gone to, neither by itself nor by its number.
expect_exit 1 spctl rollback 7
expect_match "$err" 'generation 7 was never confirmed'
expect_match "$err" 'hint: spctl apply .*/applied/7.config --confirm SECONDS'
expect_exit 0 spctl rollback
expect_match "$out" 'a copy of generation 6'

# An explicit number while another waits: that one is confirmed, so nothing waits then.
expect_exit 0 spctl rollback 2 --confirm 60
expect_exit 0 spctl rollback 5
expect_match "$out" 'a copy of generation 5'
expect_exit 0 spctl status
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
eventually no_timer

# Also where it has the very routes that wait: they are for good then, and do not go at the deadline.
n=$(spctl status --json | jq .generation)
expect_exit 0 spctl rollback 2 --confirm $((2 * STRETCH))
expect_exit 0 spctl rollback 2 --confirm $((2 * STRETCH)) --json
expect_json "$out" ".changed == false and .confirm.generation == $((n + 1)) and .confirm.previous == $n"
expect_exit 0 spctl rollback 2
expect_match "$out" "generation $((n + 2)) is live: a copy of generation 2"
expect_exit 0 spctl status --json
expect_json "$out" '.confirm == null'
eventually no_timer
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl rollback 5

# Its files are lost: said, nothing changed.
table=$(rules_of)
rm "$T/state/applied/6.config"
expect_exit 1 spctl rollback 6
expect_match "$err" 'generation 6 is not kept'
echo '{' >"$T/state/applied/9.json"
expect_exit 1 spctl rollback 9
expect_match "$err" 'damaged'
expect_eq "$(rules_of)" "$table" 'the table'
expect_exit 0 spctl history
expect_match "$out" '6 .*files lost'
expect_match "$out" '9 .*files lost'

# Another table name goes back with the rest.
apply two --table other
expect_table other
expect_no_table
expect_exit 0 spctl rollback
expect_table
expect_no_table other
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl apply "$T/two.json" --table other --confirm 1
eventually back
expect_table
expect_no_table other
eventually spctl status >/dev/null # the service that follows the name starts anew
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'

# To the very one that waits: it is not confirmed by that, and nobody is told that all is done.
config waiting <<'C'
{"routes":[{"name":"r","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
C
apply waiting
jq '.routes[0].action.targets[0].port = 7001' "$T/waiting.json" >"$T/waits.json"
apply waits --confirm 60
expect_exit 1 spctl rollback "$(spctl status --json | jq .generation)"
expect_match "$err" 'waits for confirmation'
expect_exit 0 spctl down
