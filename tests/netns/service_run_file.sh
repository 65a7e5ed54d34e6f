#!/bin/bash
# spctl run FILE beside what serves already: a file with an error, or one that cannot be applied, takes nothing
# from anybody; a good one is applied, and connections live on.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config_relay good 8000
config_relay taken 8009
config_relay other 8001
echo '{"routes":[{"name":' >"$T/bad.json"
echo '{"routes":[{"name":"web","match":{"ports":8000},"action":{"type":"nothing"}}]}' >"$T/wrong.json"
serve gw X -t '*:8009'

apply good
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one
kill -9 "$(cat "$RUN/run.pid")" # its dataplane goes on alone
serves() { [[ $(probe tcp "10.10.0.1:$1") == 'A|10.20.0.1|hi' ]]; }

for file in bad wrong nowhere; do
	expect_exit 2 timeout $((20 * STRETCH)) nsenter --net=/run/netns/gw -- "$SPCTL" run "$T/$file.json"
	expect_match "$err" "$file.json"
	serves 8000 || fail "$file.json: the port is refused"
	expect_hold kept 'A|10.20.0.1|two' two
done
expect_exit 1 spctl status
expect_match "$out" "the service's controller is gone"

# A port that somebody has: that file is not applied, and what is live goes on, under this service now.
service_start "$T/taken.json"
eventually grep -q 'taken.json was not applied (exit code 1): generation 1 goes on' "$T/service.log"
expect_match "$(cat "$T/service.log")" 'cannot listen on \*:8009: echod'
serves 8000 || fail 'the port is refused'
expect_hold kept 'A|10.20.0.1|three' three
expect_exit 0 spctl status
kill -9 "$SERVICE"

service_start "$T/other.json"
eventually serves 8001
eventually expect_no_listener 8000
expect_refused tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|four' four
hold_close kept
expect_exit 0 spctl down
# With nothing live, a service that cannot apply its file ends with the code of apply.
service_launch "$T/taken.json"
code=0
wait "$SERVICE" || code=$?
expect_eq "$code" 1
