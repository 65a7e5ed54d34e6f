#!/bin/bash
# STATE is full: apply says so, changes nothing, and works again when there is room. RUN is full:
# only caches are lost.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config two <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
CONFIG
rules=$(rules_of)
sys=$(sysctls)
fill() { dd if=/dev/zero of="$1/filler" bs=1k 2>/dev/null || :; }
files() { (cd "$T/state" && find . -type f ! -name filler -exec sha256sum {} + | sort); }

# Full from the start: not even the first apply can be written down.
mkdir "$T/state"
mount -t tmpfs -o size=256k,mode=0700 tmpfs "$T/state"
fill "$T/state"
expect_exit 1 spctl apply "$T/one.json"
expect_match "$err" 'no space left on device'
expect_eq "$(rules_of)" "$rules" 'ruleset, full from the start'
expect_eq "$(sysctls)" "$sys" 'sysctls, full from the start'
rm "$T/state/filler"
apply one
hold kept cl tcp 10.10.0.1:9000

# Full later, at each of the sizes at which another file is the first that does not fit.
before=$(files)
table=$(rules_of)
now=$(sysctls)
for room in 0 4 8 12; do
	fill "$T/state"
	truncate -s $(($(stat -c %s "$T/state/filler") - room * 1024)) "$T/state/filler"
	run spctl apply "$T/two.json"
	if [[ $code == 0 ]]; then
		break # it all fits
	fi
	expect_eq "$code" 1 "exit code with $room KiB of room"
	expect_match "$err" 'no space left on device' "$room KiB of room"
	expect_eq "$(rules_of)" "$table" "ruleset with $room KiB of room"
	expect_eq "$(sysctls)" "$now" "sysctls with $room KiB of room"
	# Where even the note that all is put back does not fit, the older one stays: it does no harm.
	if [[ $err == *'put back all the same'* ]]; then
		expect_eq "$(files | grep -v sysctl)" "$(grep -v sysctl <<<"$before")" "STATE with $room KiB of room"
	else
		expect_eq "$(files)" "$before" "STATE with $room KiB of room"
	fi
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_refused tcp 10.10.0.1:9001
	expect_hold kept 'A|10.20.0.1|on' on
	expect_exit 0 spctl status
done
((room >= 4)) || fail 'a full disk was no obstacle'
rm "$T/state/filler"
apply two
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
expect_hold kept 'A|10.20.0.1|on' on

# down on a full disk takes things down all the same.
fill "$T/state"
expect_exit 0 spctl down
expect_eq "$(rules_of)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
rm -f "$T/state/filler"

# RUN is full: no image is kept, everything else works.
rm -rf "$T/run"
mkdir "$T/run"
mount -t tmpfs -o size=32k,mode=0700 tmpfs "$T/run"
apply one
fill "$T/run"
apply two
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_exit 0 spctl status
apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
expect_eq "$(rules_of)" "$rules" 'ruleset at the end'
