#!/bin/bash
# Both units leave their process enough: the capabilities and system calls of spctl-run.service serve,
# reload, follow targets and name who has a port; spctl.service brings routes back that need the
# service, by way of systemd. (What the files say otherwise: service_file.sh.)
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
. "${0%/*}/unit_lib.bash"
need_kernel nft_fib nft_nat nft_masq
if [[ $(systemd-analyze --version 2>/dev/null) == 'systemd 252 '* ]]; then
	# The list is what this systemd makes of the group.
	expand() {
		systemd-analyze syscall-filter "$1" | sed -n 's/^ *\([@a-z0-9_-]*\)$/\1/p' | while read -r word; do
			case $word in
			"$1" | '') ;;
			@*) expand "$word" ;;
			*) echo "$word" ;;
			esac
		done
	}
	for list in "$ROOT"/tests/data/systemd/@*; do
		expect_eq "$(expand "${list##*/}" | sort -u)" "$(cat "$list")" "${list##*/} of systemd 252"
	done
fi
if grep -qaE '__(asan|tsan)_init' "$SPCTL"; then
	skip 'sanitizers need calls that the units do not leave'
fi
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
target=$lab_pid
# The usual instance: systemd's is no other.
mount -t tmpfs tmpfs /var/lib
unset SPCTL_STATE_DIR SPCTL_RUN_DIR
RUN=/run/spctl
units_install
manager_start
config routes <<'CONFIG'
{"routes":[
 {"name":"low","match":{"ports":80},"action":{"type":"forward","forwardingEngine":"relay",
   "targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"taken","match":{"ports":8000},"action":{"type":"forward","forwardingEngine":"relay",
   "targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"watched","match":{"ports":9000},"action":{"type":"forward",
   "loadBalancing":{"healthCheck":{"interval":100,"timeout":100}},
   "targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
serves() {
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:80
	expect_json "$(service_status)" ".restarts == $1 and .state == \"ready\"" 'the service'
}
# Nothing of root is left to the dataplane.
is_confined() {
	local dataplane
	dataplane=$(dataplane_pid)
	expect_no_match "$(cat "/proc/$dataplane/status")" $'Uid:\t0|\t0\t' 'users of the dataplane'
	expect_eq "$(sed -n 's/^Cap\(Prm\|Eff\|Bnd\):\t//p' "/proc/$dataplane/status" | sort -u)" \
		0000000000000000 'capabilities of the dataplane'
}
apply routes
serves 0
expect_exit 0 spctl status

# The host goes down and comes up: systemd runs the boot unit, and is asked for the other one.
reboot() {
	kill -TERM "$(cat $RUN/run.pid)"
	eventually test ! -e $RUN/run.pid
	gw nft flush ruleset
	: >"$T/unit.log"
	: >"$T/manager.log"
}
reboot
unit_command spctl
expect_exit 0 under spctl "${line[@]}"
expect_match "$out" 'generation 1 is in the kernel again'
expect_eq "$(cat "$T/manager.log")" $'systemctl reset-failed spctl-run.service
systemctl start --no-block spctl-run.service' 'what systemd was asked'
eventually grep -q 'service is ready' "$T/unit.log"
serves 0
is_confined
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000

# Once more, and somebody has one of the ports, as another user: it is said who, and the others are
# served.
reboot
nsenter --net=/run/netns/gw -- setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$LAB_TOOLS/echod" X -t '*:8000' >"$T/holder.log" &
LAB_PIDS+=("$!")
holder=$!
eventually grep -qx ready "$T/holder.log"
expect_exit 5 under spctl "${line[@]}"
expect_match "$err" "cannot listen on \\*:8000: echod\\[$holder\\] listens on"
eventually grep -q 'service is ready' "$T/unit.log"
expect_match "$(cat "$T/unit.log")" "cannot listen on \\*:8000: echod\\[$holder\\] listens on"
serves 0
is_confined
# Its child that tells the kernel who is down, and a reload, are left as much.
lab_stop "$target"
# (status ends with 1: a listener is missing)
is_down() {
	run spctl status --json
	jq -e '.routes[2].targets[] | select(.host == "10.20.0.3") | .healthy == false' <<<"$out"
}
eventually is_down
kill -USR2 "$(cat $RUN/run.pid)"
took_over() { (($(grep -c 'service is ready' "$T/unit.log") == 2)); }
eventually took_over
serves 0
is_confined
# The port is free again.
kill "$holder"
is_served() { [[ $(probe tcp 10.10.0.1:8000) == 'A|10.20.0.1|hi' ]]; }
eventually is_served
# One that hangs is another user's process by now: it can be killed all the same.
kill -STOP "$(dataplane_pid)"
eventually grep -q 'missed its heartbeats' "$T/unit.log"
came_back() { grep -q 'the dataplane is back' "$T/unit.log"; }
eventually came_back
serves 1

# A unit of somebody's own with as little, and no systemd to ask: no dataplane is root.
reboot
sed -i '/^Environment=/d' "$UNITS/spctl.service"
expect_exit 5 under spctl "${line[@]}"
expect_match "$err" 'cannot listen on \*:80: Permission denied'
expect_eq "$(cat "$T/manager.log")" '' 'what systemd was asked'
eventually grep -q 'would stay root' $RUN/service.log
expect_json "$(service_status)" '.state != "ready" and (.lastEnd | test("would stay root"))'
expect_refused tcp 10.10.0.1:80
expect_exit 0 spctl down
