# shellcheck shell=bash
# plane_lib: what a service that `spctl apply` started says of itself, and what its dataplane holds.
# Nothing here needs the command line's own status: the answers are those of RUN/control.sock.

PLANE_ASK=$LAB_TOOLS/ask

plane_ask() { printf '%s\n' "$1" | timeout $((10 * STRETCH)) "$PLANE_ASK" "$SPCTL_RUN_DIR/control.sock"; }
# plane_service FILTER: of the controller. plane_process FILTER: of the dataplane.
plane_service() { plane_ask '{"type":"status"}' | jq -s -r "[.[] | .service // empty][0] | $1"; }
plane_process() { plane_ask '{"type":"status"}' | jq -s -r "[.[] | .process // empty][0] | $1"; }
# plane_routes FILTER: of the list of all routes, in the order of the table.
plane_routes() { plane_ask '{"type":"status"}' | jq -s -r "[.[] | .routes // [] | .[]] | $1"; }

controller_pid() { cat "$SPCTL_RUN_DIR/run.pid"; }
plane_pid() { plane_service .dataplane; }
plane_fds() { find "/proc/$(plane_pid)/fd" -mindepth 1 2>/dev/null | wc -l; }
plane_rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(plane_pid)/status"; }

# Nobody is connected, and no count says otherwise (also for eventually).
plane_is_idle() {
	[[ $(plane_process '"\(.connections) \(.undecided)"') == '0 0' ]] &&
		[[ $(plane_routes '([.[].active] | add) + ([.[].targets[].active] | add)') == 0 ]]
}
# expect_idle: within the second that was promised, where the machine is as fast as that.
expect_idle() { EVENTUALLY=$(is_slow && echo 10 || echo 2) eventually plane_is_idle; }

# refusals REASON: connections that ended for it, with a route and without.
refusals() {
	plane_ask '{"type":"status"}' | jq -s --arg r "$1" \
		'[.[] | (.process.refused // {})[$r] // 0, ((.routes // [])[] | .refused[$r] // 0)] | add'
}

# plane_log: the words of the service; expect_log REGEX.
plane_log() { cat "$SPCTL_RUN_DIR"/service.log; }

# reuse_ports: connections that ended a minute ago leave their ports to new ones, which are many here.
reuse_ports() {
	local ns
	for ns in cl gw; do
		lab_in "$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse; echo 1025 65000 >/proc/sys/net/ipv4/ip_local_port_range'
	done
}
