#!/bin/bash
# Commands that look while another confirms: none says that a timer was gone which had only ended.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
config old <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
look() {
	# shellcheck disable=SC2016 # the inner shell's
	gw bash -c 'while [[ ! -e $2 ]]; do "$1" history >/dev/null; done' bash "$SPCTL" "$T/enough" 2>>"$T/looks"
}
apply old
look &
one=$!
look &
two=$!
for n in $(seq 40); do
	sed "s/9000/$((9000 + n))/" "$T/old.json" >"$T/new.json"
	apply new --confirm 600
	expect_exit 0 spctl confirm
done
: >"$T/enough"
wait "$one" "$two"
expect_eq "$(sort -u "$T/looks")" '' 'what the looks said'
eventually no_timer
