#!/bin/bash
# What doctor prints as the fix of the checks listeners, namespace, clock and kernel is done to the letter,
# and the problem is gone. modprobe and timedatectl act on the host as a whole: those that are typed here are
# stand-ins, which give the program under test what the real ones would give the machine.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen
shift_so=$O/tests/preload/wallshift.so
noexpr=$LAB_TOOLS/noexpr
nonft=$LAB_TOOLS/nonft
[[ -x $shift_so && -x $noexpr && -x $nonft ]] || fail 'wallshift, noexpr or nonft is missing: run make tools'
lab_up
serve a A -t '*:7000'
real=$SPCTL
mkdir "$T/bin"
PATH=$T/bin:$PATH
# stand_in NAME: stdin is what it does
stand_in() {
	{
		echo '#!/bin/sh'
		cat
	} >"$T/bin/$1"
	chmod +x "$T/bin/$1"
}

config one <<'EOF'
{"routes":[
 {"name":"one","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"two","match":{"ports":[9001,9002]},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}}]}
EOF
apply one
healthy

# ---- listeners: three ways, in words. Each of them heals.
server() { # PORT: in $lab_pid
	lab_start gw "$T/server.$1.log" "$LAB_TOOLS/echod" L -t "*:$1"
	eventually grep -qx ready "$T/server.$1.log"
}
# taken PORT: the server there is told of; its pid, as the fix says it, in $pid
taken() {
	finds_only listeners "listens on tcp/$1, but other hosts reach route \"two\"" 'two'
	expect_match "$fix" '^move echod\[[0-9]+\] to another port, stop it, or take [0-9]+ out of the route$'
	pid=$(sed -E 's/^move echod\[([0-9]+)\].*/\1/' <<<"$fix")
	expect_eq "$fix" "move echod[$pid] to another port, stop it, or take $1 out of the route"
	expect_eq "$pid" "$lab_pid" 'the pid'
}
# stop PORT: the one that the fix names; its socket goes a moment later.
stop() {
	kill "$pid"
	eventually free "$1"
}
free() { [[ ! $(gw ss -Htln "sport = :$1") ]]; }
server 9001
taken 9001
stop 9001 && server 9009 # moved
healthy
expect_answer 'L|10.10.0.2|hi' tcp 10.10.0.1:9009
server 9001
taken 9001
stop 9001
healthy
server 9002
taken 9002
sed 's/\[9001,9002\]/[9001]/' "$T/one.json" >"$T/without.json" # taken out of the route
apply without
healthy
expect_answer 'L|10.10.0.2|hi' tcp 10.10.0.1:9002
lab_stop "$lab_pid"
apply one
healthy

# ---- namespace: STATE is of one that is gone. In words it says when to type the command in it.
dirs=(--state-dir "$T/state-gone" --run-dir "$T/run-gone")
ip netns add gone
expect_exit 0 ip netns exec gone "$real" apply "$T/one.json" "${dirs[@]}"
ip netns del gone
finds_only namespace 'belongs to another network namespace' 'one two' "${dirs[@]}"
expect_match "$fix" "^spctl apply --boot --force ${dirs[*]} +# if it is gone for good\$"
expect_exit 2 spctl apply "$T/one.json" "${dirs[@]}"
expect_exit 0 spctl down # (one instance at a time has these ports)
type_fix
# Its routes are here now.
healthy "${dirs[@]}"
expect_json "$out" '.findings | all(.message != "not looked at: ") and any(.check == "namespace" and .level == "ok")'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down "${dirs[@]}"
apply one
healthy

# ---- clock: behind the newest generation, and before 2024. (A stand-in sets the clock of spctl right.)
config_tls
stand_in timedatectl <<EOF
[ "\$*" = 'set-ntp true' ] || exit 1
echo 0 >'$T/shift'
EOF
stand_in shifted <<EOF
exec env LD_PRELOAD='$shift_so' WALLSHIFT='$T/shift' '$real' "\$@"
EOF
SPCTL=$T/bin/shifted
echo 0 >"$T/shift"
healthy "$T/tls.json"
for back in 3600 $(($(date +%s) - 1700000000)); do # an hour; to November 2023
	echo "-$back" >"$T/shift"
	if ((back == 3600)); then
		finds_only clock 'but the newest generation was made at' 'web' "$T/tls.json"
	else
		finds_only clock '^the clock says 2023-11-14T22:1.*: certificates and history' 'web' "$T/tls.json"
	fi
	expect_eq "$fix" 'timedatectl set-ntp true'
	type_fix
	healthy "$T/tls.json"
	healthy
done
SPCTL=$real

# ---- kernel: a module that is not loaded, of one expression and of nftables as a whole.
run gw "$noexpr" nothing true
[[ $code != 77 ]] || skip 'ptrace is not allowed here; all but kernel was tried'
run gw "$nonft" true
[[ $code != 77 ]] || skip 'this kernel has no seccomp filters; all but kernel was tried'
stand_in modprobe <<EOF
grep -qxF "\$*" '$T/unloaded' && sed -i "/^\$*\\\$/d" '$T/unloaded'
EOF
stand_in lacking <<EOF
read -r module <'$T/unloaded' || exec '$real' "\$@"
case \$module in
nf_tables) exec '$nonft' '$real' "\$@" ;;
*) name=\${module#nft_} && exec '$noexpr' "\${name%_inet}" '$real' "\$@" ;;
esac
EOF
SPCTL=$T/bin/lacking
# loads MODULE OPTION ROUTES
loads() {
	echo "$1" >"$T/unloaded"
	finds kernel 'lacks the nftables expression|no nftables' "$3" "$T/one.json"
	expect_eq "$fix" "modprobe $1    # or a kernel with $2"
	type_fix
	healthy "$T/one.json"
}
loads nft_numgen CONFIG_NFT_NUMGEN 'two'
loads nft_masq CONFIG_NFT_MASQ 'one two'
loads nft_connlimit CONFIG_NFT_CONNLIMIT 'one two'
# Of these the table's family has a module of its own; that without the family is not enough.
loads nft_fib_inet CONFIG_NFT_FIB_INET 'one two'
loads nft_reject_inet CONFIG_NFT_REJECT_INET 'one two'
loads nf_tables CONFIG_NF_TABLES_INET 'one two'
