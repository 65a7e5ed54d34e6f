#!/bin/bash
# docs/OPERATING.md: every command in its boxes, in its order, on a gateway of its own with the default
# paths. (systemctl without a systemd that runs: it makes the links, as it does for the next boot.)
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_numgen
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
doc=$ROOT/docs/OPERATING.md

# /etc and /var/lib/spctl are ours alone: nothing of the host is touched.
unset SPCTL_STATE_DIR SPCTL_RUN_DIR
mkdir -p "$T/etc" "$T/lib"
cp -a /etc/. "$T/etc/"
mount --bind "$T/etc" /etc
mount --bind "$T/lib" /var/lib
rm -rf /etc/spctl && mkdir /etc/spctl
# shellcheck disable=SC2016 # the backticks are the page's
sed -n '/^```json$/,/^```$/p' "$doc" | sed '1d;$d' >/etc/spctl/routes.json
sed 's/10\.20\.0\.2", "port/10.20.0.3", "port/' /etc/spctl/routes.json >"$T/later.json"

# The commands of the page, one a line, without their comments.
# shellcheck disable=SC2016
mapfile -t commands < <(sed -n '/^```sh$/,/^```$/p' "$doc" | sed '/^```/d; s/ *#.*//; /^$/d')
((${#commands[@]} >= 20)) || fail "only ${#commands[@]} commands are on the page"

at=0
# is_next COMMAND: the next command of the page must be that one.
is_next() {
	expect_eq "${commands[at]-nothing}" "$1" "command $((at + 1)) of the page"
	at=$((at + 1))
}
# next COMMAND EXIT: runs it as well.
next() {
	is_next "spctl $1"
	read -ra words <<<"$1"
	expect_exit "$2" spctl "${words[@]}"
}
web() { expect_answer "$1|10.20.0.1|hi" tcp 10.10.0.1:8080; }

next 'check /etc/spctl/routes.json' 0
next 'plan' 0
expect_match "$out" 'web +nftables'
next 'doctor /etc/spctl/routes.json' 0
next 'apply --dry-run' 0
expect_no_table
expect_refused tcp 10.10.0.1:8080

next 'apply --confirm 120' 0
expect_match "$out" 'confirm'
web A
next 'status' 1
expect_match "$out$err" 'confirm'
next 'explain --port 8080 --client 10.10.0.2' 0
expect_match "$out" '10\.20\.0\.2:7000'
hold seen cl tcp 10.10.0.1:8080
next 'conns' 0
expect_match "$out" '10\.10\.0\.2'
next 'confirm' 0
expect_exit 0 spctl status

cp "$T/later.json" /etc/spctl/routes.json
next 'plan' 0
expect_match "$out" '~ web'
next 'apply --confirm 120' 0
web B
expect_hold seen 'A|10.20.0.1|still' still
next 'confirm' 0
next 'apply --kill' 0
hold_say seen gone
expect_match "$answer" '^(reset|closed|gone|silent)$' 'a connection to the former target after --kill'
next 'apply --drain 5' 0

next 'history' 0
expect_json "$(lab_in gw "$SPCTL" history --json)" '[.history[].generation] == [2, 1]'
next 'rollback' 0
web A
next 'rollback 2' 0
web B
expect_json "$(lab_in gw "$SPCTL" history --json)" '[.history[].generation] == [4, 3, 2, 1]'

is_next 'systemctl enable spctl'
enabled=0
if command -v systemctl >/dev/null; then
	make --no-print-directory -C "$ROOT" O="$O" UNITDIR=/etc/systemd/system install-unit >/dev/null
	expect_exit 0 systemctl enable spctl
	[[ /etc/systemd/system/multi-user.target.wants/spctl.service -ef /etc/systemd/system/spctl.service ]] ||
		fail "the unit is not enabled: $out$err"
	enabled=1
fi
next 'apply --boot' 0
web B
next 'status' 0
next 'status --json' 0
expect_json "$out" '.drift == false and .routes[0].name == "web"'
next 'doctor' 0
next 'down --drain 1' 0
expect_no_table
expect_refused tcp 10.10.0.1:8080
((at == ${#commands[@]})) || fail "the page goes on with: ${commands[at]}"
((enabled)) || skip 'systemctl is not installed: all but enabling the unit was tried'
