# shellcheck shell=bash
# lab: a small network of namespaces for tests and for the quick start.
#
#   cl  10.10.0.2 .3 .9 .66 --+                     +-- a   10.20.0.2   server A
#   c2  10.30.0.2 ------------+-- gw (.1 in each) --+-- b   10.20.0.3   server B
#                                                   +-- fo  10.20.0.4, with 192.0.2.1 behind it
#
# IPv6 is the same with fd10::, fd20::, fd30::/64 and 2001:db8::1. The gateway's
# interfaces are `lan` (to cl), `lan2` (to c2) and `srv` (to the servers).
#
# Sourced by a bash script that calls lab_enter first of all: it runs the script
# again in mount, network and process namespaces of its own. Whatever it starts
# or makes in there is gone when it ends, however it ends; nothing is visible
# from outside. Needs root, util-linux, iproute2 and nothing of spctl.

# lab_enter SCRIPT ARG...: returns inside the namespaces only.
lab_enter() {
	if [[ ${LAB_INSIDE-} == 1 ]]; then
		unset LAB_INSIDE SSH_CONNECTION SSH_CLIENT NOTIFY_SOCKET
		mount -t tmpfs -o mode=0755 tmpfs /run
		mkdir -p /run/netns
		LAB_TMP=/run/lab
		mkdir -p "$LAB_TMP"
		return
	fi
	if [[ $(id -u) != 0 ]]; then
		echo "${1##*/}: needs root (it makes network namespaces): try sudo $1" >&2
		exit 1
	fi
	LAB_INSIDE=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc \
		--propagation private bash "$@"
}

# lab_in NS COMMAND...: in one of the lab's namespaces.
lab_in() {
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" -- "$@"
}

lab_ns() {
	local ns
	for ns; do
		ip netns add "$ns"
		# shellcheck disable=SC2016 # $i is the inner shell's
		lab_in "$ns" sh -c '
			echo 0 > /proc/sys/net/ipv4/ip_forward
			cd /proc/sys/net/ipv6/conf 2>/dev/null || exit 0
			for i in all default lo; do
				echo 0 > $i/disable_ipv6
				echo 0 > $i/accept_dad
				echo 0 > $i/accept_ra
			done
			echo 0 > all/forwarding'
	done
}

# lab_up [--routes]: makes the network. --routes: the gateway forwards already.
lab_up() {
	local a
	lab_ns cl c2 gw a b fo sw
	ip -batch - <<-EOF
		link add eth0 netns cl type veth peer name lan netns gw
		link add eth0 netns c2 type veth peer name lan2 netns gw
		link add name to-gw netns sw type veth peer name srv netns gw
		link add name to-a netns sw type veth peer name eth0 netns a
		link add name to-b netns sw type veth peer name eth0 netns b
		link add name to-fo netns sw type veth peer name eth0 netns fo
	EOF
	ip -n sw -batch - <<-EOF
		link add br0 type bridge forward_delay 0 mcast_snooping 0
		link set br0 up
		link set to-gw master br0 up
		link set to-a master br0 up
		link set to-b master br0 up
		link set to-fo master br0 up
	EOF
	{
		echo "addr add fd10::2/64 dev eth0 nodad"
		# preferred_lft 0: used by who binds it, never chosen by the kernel.
		for a in 2 3 9 66; do
			echo "addr add 10.10.0.$a/24 dev eth0"
			((a == 2)) || echo "addr add fd10::$a/64 dev eth0 nodad preferred_lft 0"
		done
		lab_host_tail 10.10.0.1 fd10::1
	} | ip -n cl -batch -
	lab_host c2 10.30.0.2 fd30::2 10.30.0.1 fd30::1
	lab_host a 10.20.0.2 fd20::2 10.20.0.1 fd20::1
	lab_host b 10.20.0.3 fd20::3 10.20.0.1 fd20::1
	lab_host fo 10.20.0.4 fd20::4 10.20.0.1 fd20::1
	ip -n fo -batch - <<-EOF
		addr add 192.0.2.1/32 dev lo
		addr add 2001:db8::1/128 dev lo nodad
	EOF
	ip -n gw -batch - <<-EOF
		addr add 10.10.0.1/24 dev lan
		addr add 10.30.0.1/24 dev lan2
		addr add 10.20.0.1/24 dev srv
		addr add fd10::1/64 dev lan nodad
		addr add fd30::1/64 dev lan2 nodad
		addr add fd20::1/64 dev srv nodad
		link set lo up
		link set lan up
		link set lan2 up
		link set srv up
		route add 192.0.2.0/24 via 10.20.0.4
		route add 2001:db8::/64 via fd20::4
	EOF
	if [[ ${1-} == --routes ]]; then
		lab_in gw sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
			echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
	fi
	# /sys shows the interfaces of the namespace it was mounted in.
	lab_in gw mount -t sysfs sysfs /sys 2>/dev/null || :
	lab_wait_carrier
}

lab_host_tail() {
	cat <<-EOF
		link set lo up
		link set eth0 up
		route add default via $1
		route add default via $2
	EOF
}

# lab_host NS V4 V6 GATEWAY4 GATEWAY6
lab_host() {
	{
		echo "addr add $2/24 dev eth0"
		echo "addr add $3/64 dev eth0 nodad"
		lab_host_tail "$4" "$5"
	} | ip -n "$1" -batch -
}

# A veth is usable as soon as both ends are up; the bridge ports need their first state change.
lab_wait_carrier() {
	local i
	for ((i = 0; i < 100; i++)); do
		[[ $(ip -n sw -o link show master br0 | grep -cv 'state UP') != 0 ]] || return 0
		sleep 0.02
	done
	echo "lab: the switch did not come up" >&2
	return 1
}

LAB_PIDS=()

# lab_start NS LOG COMMAND...: in the background; the pid is in $lab_pid. LOG gets both outputs.
lab_start() {
	local ns=$1 log=$2
	shift 2
	: >"$log" # now: who waits for a word must not find a former one's
	nsenter --net="/run/netns/$ns" -- "$@" >"$log" 2>&1 </dev/null &
	lab_pid=$!
	LAB_PIDS+=("$lab_pid")
}

# lab_serve NS TAG ARG...: an echod (tests/tools/echod.c) that listens when this returns.
lab_serve() {
	local ns=$1 log=$LAB_TMP/echod.$1.$2.$RANDOM i
	shift
	lab_start "$ns" "$log" "$LAB_TOOLS/echod" "$@"
	for ((i = 0; i < 250; i++)); do
		if grep -qsx ready "$log"; then
			return 0
		fi
		if ! kill -0 "$lab_pid" 2>/dev/null; then
			break
		fi
		sleep 0.02
	done
	echo "lab: echod $* in $ns did not start: $(cat "$log")" >&2
	return 1
}

# lab_stop PID...: ends what lab_start began, and waits for it.
lab_stop() {
	local pid
	for pid; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
}

lab_down() {
	lab_stop "${LAB_PIDS[@]}"
	LAB_PIDS=()
}
