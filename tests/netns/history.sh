#!/bin/bash
# history: what was applied, and what became of it; ten are kept, and what a confirmation needs.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
# routes NAME N: N routes.
routes() {
	jq -n --argjson n "$2" '{routes: [range($n) | {name: "r\(.)", match: {ports: (9000 + .)},
		action: {type: "forward", targets: [{host: "10.20.0.2", port: 7000}]}}]}' >"$T/$1.json"
}
states() { spctl history --json | jq -r '[.history[] | "\(.generation)=\(.state)"] | join(" ")'; }
timer() { pgrep -f "confirm-timer --state-dir $T/state"; }

expect_exit 0 spctl history
expect_match "$out" '^nothing was ever applied$'
expect_exit 0 spctl history --json
expect_json "$out" '. == {"schema":1,"history":[]}'
[[ ! -e $T/state ]] || fail 'history made a state directory'

long=$(printf 'verkehr-%.0s' {1..30})
routes "$long" 3
apply "$long"
routes two 2
apply two --confirm 3600
expect_exit 0 spctl history
expect_eq "$(awk '{ print $1, $2 ~ /^20..-..-..T..:..:..Z$/, $4 }' <<<"$out" | tail -n +2)" $'2 1 2\n1 1 3'
expect_match "$out" '^GENERATION +APPLIED +FILE +ROUTES +STATE'
expect_match "$out" '2 .*two.json +2 +live, unconfirmed \(3[56][0-9]{2} s left\)'
expect_match "$out" '1 .* 3 +confirmed'
awk 'length($0) > 100 { exit 1 }' <<<"$out" || fail 'wider than 100 columns'
expect_eq "$(states)" '2=waiting 1=confirmed'
expect_json "$(spctl history --json)" '.history[0] | .live and .routes == 2 and .copyOf == null
	and .confirm.previous == 1 and .confirm.timer and (.applied | test("^20.*Z$")) and (.file | test("two.json$"))'
expect_exit 0 spctl confirm
expect_match "$(spctl history)" $'2 .* live, confirmed\n'
expect_eq "$(states)" '2=live 1=confirmed'
expect_json "$(spctl history --json)" '.history[0].decided | test("^20.*Z$")'

routes three 1
apply three --confirm 3600
expect_exit 0 spctl rollback
expect_match "$(spctl history)" '3 .* taken back [0-9:]{8}'
expect_eq "$(states)" '3=takenBack 2=live 1=confirmed'
apply three --confirm 3600
routes four 4
apply four --confirm 3600
expect_eq "$(states)" '5=waiting 4=unconfirmed 3=takenBack 2=confirmed 1=confirmed'
expect_match "$(spctl history)" '4 .* never confirmed'

# Many that nobody confirms: they push out neither what comes back nor what rollback may go to.
for n in 5 6 7 8 9 10 11 12 13; do
	routes "n$n" "$n"
	apply "n$n" --confirm 3600
done
expect_eq "$(spctl history --json | jq -c '[.history[].generation]')" '[14,13,12,11,10,2,1]'
expect_exit 0 spctl rollback
expect_match "$out" 'generation 2 is live'
expect_exit 0 spctl status
expect_match "$(spctl history)" '2 .* live, confirmed'

# down: none is live. Files that are lost.
expect_exit 0 spctl down
expect_json "$(spctl history --json)" '[.history[].live] | any | not'
apply two
rm "$T/state/applied/14.config"
echo '{"generation":13' >"$T/state/applied/13.json"
expect_exit 0 spctl history
expect_match "$out" '14 .*files lost'
expect_match "$out" '13 +\? +\? +\? +files lost'
expect_json "$(spctl history --json)" '.history[2] | .generation == 13 and .state == "lost" and .routes == null'
rm "$T/state/applied/15.json"
expect_match "$(spctl history)" '15 .* live, files lost'
expect_exit 0 spctl down
