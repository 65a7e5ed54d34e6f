# shellcheck shell=bash
# lib: what every namespace test stands on. A test is a bash file that begins
#
#	. "${0%/*}/lib.sh"
#	lab_up
#
# and then says, in order, what is done and what must be seen. The first thing
# that is not as expected ends it, with the place and a dump of the gateway.
# docs/TESTING.md explains how to write one; scripts/lab.sh draws the network.
#
# O        the build directory (default build); SPCTL another binary
# DEBUG=1  on failure: a shell in the gateway's namespace
# TRACE=1  every command is shown
# STRETCH  how many times longer everything may take (1); scripts/vm-check sets it
# WITH_SERVICE=1  a service runs in the gateway from the start, so that every command has one to ask

set -Eeuo pipefail

TEST_DIR=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
ROOT=${TEST_DIR%/tests/netns}
# shellcheck source=scripts/lab.sh
. "$ROOT/scripts/lab.sh"
O=${O:-build}
[[ $O == /* ]] || O=$ROOT/$O
export O
SPCTL=${SPCTL:-$O/spctl}
LAB_TOOLS=$O/tests/tools

for tool in "$SPCTL" "$LAB_TOOLS/echod" "$LAB_TOOLS/probe" "$LAB_TOOLS/flood"; do
	if [[ ! -x $tool ]]; then
		echo "$tool is missing: run make && make tools" >&2
		exit 1
	fi
done

lab_enter "$0" "$@"

T=$LAB_TMP
NAME=$(basename "$0" .sh)
export NO_COLOR=1 LC_ALL=C
export SPCTL_STATE_DIR=$T/state SPCTL_RUN_DIR=$T/run
TABLE=spctl
STRETCH=${STRETCH:-1}
out='' err='' code=0
[[ ${TRACE-} != 1 ]] || set -x

# ---- ending ---------------------------------------------------------------------------------

# The place in the test file (not in here) where things went wrong.
test_place() {
	local i
	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		if [[ ${BASH_SOURCE[i]} != */netns/lib.sh && ${BASH_SOURCE[i]} != */scripts/lab.sh ]]; then
			echo "${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}"
			return
		fi
	done
	echo "$NAME.sh"
}

section() {
	printf -- '---- %s\n' "$1"
	shift
	timeout 5 "$@" 2>&1 | head -n 200 || :
}

diagnose() {
	local f
	set +Ee
	trap - ERR
	[[ -e /run/netns/gw ]] || return 0
	local in_gw=(nsenter --net=/run/netns/gw --)
	section "last command: exit $code, stdout" printf '%s\n' "$out"
	section "last command: stderr" printf '%s\n' "$err"
	section "nft list ruleset (gateway)" "${in_gw[@]}" nft list ruleset
	section "spctl status" "${in_gw[@]}" "$SPCTL" status
	section "conntrack -L" "${in_gw[@]}" conntrack -L
	section "sockets" "${in_gw[@]}" ss -Htuln
	section "addresses and routes" "${in_gw[@]}" sh -c 'ip -br addr; ip route; ip -6 route'
	section "sysctls" "${in_gw[@]}" sh -c 'grep . /proc/sys/net/ipv4/ip_forward \
		/proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv4/conf/*/route_localnet'
	for f in "$T"/*.log "$T"/echod.*; do
		if [[ -s $f ]] && ! [[ $(cat "$f") == ready ]]; then
			section "${f##*/}" tail -n 40 "$f"
		fi
	done
}

fail() {
	trap - ERR
	set +x
	printf '%s: %s\n' "$(test_place)" "$*" >&2
	diagnose >&2
	if [[ ${DEBUG-} == 1 && -t 0 ]]; then
		echo "---- DEBUG: a shell in the gateway's namespace; files in $T; others: nsenter --net=/run/netns/cl" >&2
		PS1='gw# ' PATH=$O:$LAB_TOOLS:$PATH nsenter --net=/run/netns/gw -- bash --norc -i || :
	fi
	exit 1
}

skip() {
	printf 'SKIP: %s\n' "$*"
	exit 77
}

on_exit() {
	local rc=$?
	trap - ERR EXIT
	set +Ee
	lab_down 2>/dev/null
	exit "$rc"
}

# Functions that run in $(...) fail there first: the parent's trap reports once more, with its line.
trap 'fail "unexpected exit code $? of: ${BASH_COMMAND%%$'"'\n'"'*}"' ERR
trap 'fail "stopped by the time limit"' TERM
trap on_exit EXIT

# ---- with a service that runs already ----------------------------------------------------------

# The kernel's tests promise the same then. Those of the service itself start their own; the others that
# are left out are about an instance without one: with_service_not.list has their names and why.
if [[ ${WITH_SERVICE-} == 1 ]]; then
	why=$(sed -n "s/^$NAME  *//p" "$TEST_DIR/with_service_not.list")
	! grep -qE '(relay|plane)_lib\.bash' "$0" || why=${why:-starts its own}
	if [[ $why ]]; then
		echo "SKIP: with a service: $why"
		exit 77
	fi
	eval "lab_bare_up() $(declare -f lab_up | tail -n +2)"
	lab_up() {
		lab_bare_up "$@"
		lab_start gw "$T/with-service.log" "$SPCTL" run
		eventually grep -q 'service is ready' "$T/with-service.log"
	}
fi

# ---- who runs what --------------------------------------------------------------------------

gw() { lab_in gw "$@"; }
cl() { lab_in cl "$@"; }
srv() { lab_in "$@"; }
spctl() { lab_in gw "$SPCTL" "$@"; }
serve() { lab_serve "$@" || fail "no server"; }

# probe ARG...: from the first client. probe_in NS ARG...: from elsewhere.
# Prints the answer; the exit code of a failed attempt is not a failure of the test.
probe() { probe_in cl "$@"; }
probe_in() {
	local ns=$1
	shift
	lab_in "$ns" "$LAB_TOOLS/probe" "$@" || [[ $? == 1 ]]
}

# run CMD...: leaves stdout in $out, stderr in $err, the exit code in $code.
run() {
	code=0
	"$@" >"$T/out" 2>"$T/err" || code=$?
	out=$(tr -d '\0' <"$T/out")
	err=$(tr -d '\0' <"$T/err")
}

# config NAME: stdin becomes $T/NAME.json.
config() { cat >"$T/$1.json"; }

# apply NAME ARG...: must succeed.
apply() {
	local name=$1
	shift
	run spctl apply "$T/$name.json" "$@"
	[[ $code == 0 ]] || fail "apply $name: exit $code"
}

# apply_config: the same with the file on stdin.
apply_config() {
	config routes
	apply routes "$@"
}

# ---- what must be seen ----------------------------------------------------------------------

expect_eq() { # GOT WANTED [WHAT]
	[[ $1 == "$2" ]] || fail "${3:+$3: }expected \"$2\", got \"$1\""
}

expect_match() { # TEXT REGEX [WHAT]; case does not matter
	shopt -s nocasematch
	if ! [[ $1 =~ $2 ]]; then
		shopt -u nocasematch
		fail "${3:+$3: }no match for /$2/ in \"$1\""
	fi
	shopt -u nocasematch
}

expect_no_match() { # TEXT REGEX [WHAT]
	shopt -s nocasematch
	if [[ $1 =~ $2 ]]; then
		shopt -u nocasematch
		fail "${3:+$3: }/$2/ must not be in \"$1\""
	fi
	shopt -u nocasematch
}

expect_exit() { # CODE CMD...
	local want=$1
	shift
	run "$@"
	[[ $code == "$want" ]] || fail "expected exit $want, got $code: $*"
}

# expect_answer WANTED PROBE-ARG...: from the first client.
expect_answer() { expect_answer_in cl "$@"; }
expect_answer_in() { # NS WANTED PROBE-ARG...
	local ns=$1 want=$2 got
	shift 2
	got=$(probe_in "$ns" "$@")
	[[ $got == "$want" ]] || fail "probe $* in $ns: expected \"$want\", got \"$got\""
}

# No service to be had: refused, reset or closed, but never an answer, and within the limit.
expect_refused() { expect_refused_in cl "$@"; }
expect_refused_in() { # NS PROBE-ARG...
	local ns=$1 got
	shift
	got=$(probe_in "$ns" "$@")
	[[ $got == refused || $got == reset || $got == closed ]] ||
		fail "probe $* in $ns: expected a refusal, got \"$got\""
}

# expect_none NS PROBE-ARG...: any failure will do, time-out included.
expect_none_in() {
	local ns=$1 got
	shift
	got=$(probe_in "$ns" "$@" -w 500)
	[[ $got =~ ^(refused|reset|closed|timeout|unreachable)$ ]] ||
		fail "probe $* in $ns: expected no answer, got \"$got\""
}

expect_json() { # TEXT JQ-FILTER [WHAT]: the filter must be true
	jq -e "$2" <<<"$1" >/dev/null 2>&1 || fail "${3:+$3: }$2 is not true of $1"
}

# eventually CMD...: polls until it succeeds, at most EVENTUALLY seconds (10), stretched.
eventually() {
	local end=$((SECONDS + ${EVENTUALLY:-10} * STRETCH))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "never came true: $*"
		sleep 0.05
	done
}

# ---- the state of the gateway ---------------------------------------------------------------

# (no `| grep -q`: under pipefail the writer's SIGPIPE would be a failure)
table_exists() { [[ $'\n'$(gw nft list tables)$'\n' == *$'\n'"table inet ${1:-$TABLE}"$'\n'* ]]; }

expect_no_table() { # [NAME]
	if table_exists "$@"; then
		fail "table inet ${1:-$TABLE} exists"
	fi
}

expect_table() {
	table_exists "$@" || fail "there is no table inet ${1:-$TABLE}"
}

# All forwarding settings, for "as before" comparisons.
sysctls() {
	gw sh -c 'cd /proc/sys/net && find ipv4 ipv6 -type f \( -name "*forward*" -o -name route_localnet \
		-o -name accept_ra -o -name accept_redirects -o -name send_redirects -o -name rp_filter \
		-o -name "accept_local" -o -name proxy_arp \) -exec grep -H . {} + | sort'
}

# All of nftables without what the kernel fills in by itself: counters and dynamic sets.
rules_of() {
	gw nft -s list ruleset | awk '
		/^\t(set|map) / { dynamic = 0 }
		/^\t\tflags .*dynamic/ { dynamic = 1 }
		/^\t\telements = / && dynamic { skip = 1 }
		!skip
		/}$/ { skip = 0 }'
}

# Everything in nftables except our table.
foreign_rules() {
	local t
	gw nft list tables | grep -vx "table inet $TABLE" | while read -r _ t; do
		# shellcheck disable=SC2086 # family and name are two words
		gw nft -a list table $t
	done
}

# set_size SET: elements that the kernel has in it.
set_size() {
	gw nft list set inet "$TABLE" "$1" | sed '/elements =/,$!d' |
		{ grep -oE '(limit rate over|ct count over|counter packets) [0-9]+' || :; } | wc -l
}

# refused KIND [ROUTE]: connections refused so far, of one route or of all. KIND: list, rate, ip, route.
refused() {
	local reason
	case $1 in
	list) reason=route_ip_blocked ;;
	rate) reason=rate_limit ;;
	*) reason=$1_limit ;;
	esac
	spctl status --json | jq --arg reason "$reason" --arg route "${2-}" \
		'[.routes[] | select($route == "" or .name == $route) | .refused[$reason] // 0] | add // 0'
}

# ---- connections that stay open -------------------------------------------------------------

declare -A HOLD_IN HOLD_OUT HOLD_PID

# try_hold NAME NS PROBE-ARG...: opens one; 1 and the word for it in $answer if it does not open.
try_hold() {
	local name=$1 ns=$2 in out_fd
	shift 2
	rm -f "$T/hold.$name.in" "$T/hold.$name.out"
	mkfifo "$T/hold.$name.in" "$T/hold.$name.out"
	nsenter --net="/run/netns/$ns" -- "$LAB_TOOLS/probe" "$@" --hold \
		<"$T/hold.$name.in" >"$T/hold.$name.out" 2>"$T/hold.$name.log" &
	HOLD_PID[$name]=$!
	LAB_PIDS+=("$!")
	exec {in}>"$T/hold.$name.in" {out_fd}<"$T/hold.$name.out"
	HOLD_IN[$name]=$in
	HOLD_OUT[$name]=$out_fd
	read -r -t $((10 * STRETCH)) answer <&"$out_fd" || answer='nothing'
	[[ $answer == open ]] || hold_close "$name"
	[[ $answer == open ]]
}
hold() {
	local answer
	try_hold "$@" || fail "hold $*: $answer"
}

# hold_say NAME TEXT: sends a line, leaves the answer (or the word of failure) in $answer.
hold_say() {
	answer=gone
	if kill -0 "${HOLD_PID[$1]}" 2>/dev/null; then
		echo "$2" >&"${HOLD_IN[$1]}" || :
		read -r -t $((10 * STRETCH)) answer <&"${HOLD_OUT[$1]}" || answer=silent
	fi
}

expect_hold() { # NAME WANTED TEXT
	hold_say "$1" "$3"
	[[ $answer == "$2" ]] || fail "held connection $1: expected \"$2\", got \"$answer\""
}

# Ended by a signal: later holds inherited the writing end, so closing ours is no end of file.
hold_close() {
	local in=${HOLD_IN[$1]} out_fd=${HOLD_OUT[$1]}
	exec {in}>&-
	exec {out_fd}<&-
	lab_stop "${HOLD_PID[$1]}"
	rm -f "$T/hold.$1.in" "$T/hold.$1.out"
}

# ---- what the kernel must have --------------------------------------------------------------

# need_nft WHAT RULESET: skips unless the kernel takes it (tried in a namespace of its own).
need_nft() {
	unshare -n nft -f - <<<"$2" >/dev/null 2>&1 || skip "this kernel lacks $1"
}

# need_kernel NAME...: expressions by the names of their modules.
need_kernel() {
	local k
	for k; do
		case $k in
		nft_fib) need_nft "$k" 'table inet t { chain c { type nat hook prerouting priority -100; fib daddr type local accept; }; }' ;;
		nft_nat) need_nft "$k" 'table inet t { chain c { type nat hook prerouting priority -100; dnat ip to 10.0.0.1; }; }' ;;
		nft_masq) need_nft "$k" 'table inet t { chain c { type nat hook postrouting priority 100; masquerade; }; }' ;;
		nft_redir) need_nft "$k" 'table inet t { chain c { type nat hook prerouting priority -100; tcp dport 1 redirect to :2; }; }' ;;
		nft_numgen) need_nft "$k" 'table inet t { chain c { numgen inc mod 2 0 accept; }; }' ;;
		nft_hash) need_nft "$k" 'table inet t { chain c { jhash ip saddr mod 2 0 accept; }; }' ;;
		nft_limit) need_nft "$k" 'table inet t { set s { type ipv4_addr; size 9; flags dynamic; }; chain c { update @s { ip saddr limit rate over 1/minute } drop; }; }' ;;
		nft_connlimit) need_nft "$k" 'table inet t { set s { type ipv4_addr; size 9; flags dynamic; }; chain c { add @s { ip saddr ct count over 1 } drop; }; }' ;;
		ipv6) [[ -d /proc/sys/net/ipv6 ]] || skip "this kernel has no IPv6" ;;
		*) fail "need_kernel: unknown $k" ;;
		esac
	done
}

# is_slow: an emulated machine, or a build with sanitizers: bounds of time say nothing there.
is_slow() {
	[[ $(systemd-detect-virt --vm 2>/dev/null || :) == qemu ]] || grep -q 'QEMU TCG' /proc/cpuinfo ||
		grep -qaE '__(asan|tsan)_init' "$SPCTL"
}

need_tool() {
	local t
	for t; do
		command -v "$t" >/dev/null || skip "$t is not installed"
	done
}

need_tool nft conntrack jq ss pgrep setpriv

# attack_loopback PORT: a neighbour on the link addresses 127.0.0.1 to the gateway's MAC; prints the answer.
attack_loopback() {
	local mac
	mac=$(gw cat /sys/class/net/lan/address 2>/dev/null || gw ip -br link show dev lan | awk '{print $3}')
	cl sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'
	cl ip rule add pref 10 to 127.0.0.0/8 lookup 100 2>/dev/null || :
	cl ip route replace 127.0.0.1 via 10.10.0.1 dev eth0 table 100
	cl ip neigh replace 10.10.0.1 lladdr "$mac" dev eth0 nud permanent
	cl ip rule del pref 0 lookup local 2>/dev/null || :
	cl ip rule add pref 20 lookup local 2>/dev/null || :
	probe tcp 127.0.0.1:"$1" -s 10.10.0.2 -w 400
}
