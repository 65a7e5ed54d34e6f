#!/bin/bash
# apply --boot after a reboot: the generation that was live, with its number and the addresses that
# its names had; as spctl.service runs it. (What the service file says: service_file.sh.)
. "${0%/*}/lib.sh"
. "${0%/*}/boot_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
mkdir -p "$T/etc"
cp /etc/hosts "$T/etc/hosts"
mount --bind "$T/etc/hosts" /etc/hosts
echo '10.20.0.2 target.test' >>"$T/etc/hosts"
config one <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"target.test","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
CONFIG
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
host_boots

# Nothing was ever applied: no error, and nothing is made.
expect_exit 0 spctl apply --boot
expect_match "$out" 'nothing is applied: nothing to bring back'
[[ ! -e $T/state && ! -e $T/run ]] || fail 'directories were made'

apply one
table=$(gw nft -s list table inet spctl)
host_boots
cp /dev/null "$T/etc/hosts" # the name service is not there yet
rm "$T/one.json"            # and the file is another, or gone
expect_answer refused tcp 10.10.0.1:9000
expect_exit 0 spctl apply --boot
expect_match "$out" 'generation 1 is in the kernel again'
expect_eq "$(gw nft -s list table inet spctl)" "$table" 'the table' # before its counters count
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .drift == false'
# Again: nothing to do.
hold kept cl tcp 10.10.0.1:9000
expect_exit 0 spctl apply --boot
expect_match "$out" 'nothing to do: generation 1 is in the kernel'
expect_exit 0 spctl apply --boot --json
expect_json "$out" '.boot and .generation == 1 and .changed == false'
expect_hold kept 'A|10.20.0.1|one' one
hold_close kept
# The table was flushed in the running system.
gw nft flush ruleset
expect_exit 0 spctl apply --boot
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
# The settings of this boot are put back by down.
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
expect_exit 0 spctl apply --boot
expect_match "$out" 'nothing is applied'
host_boots
expect_exit 0 spctl apply --boot
expect_match "$out" 'nothing is applied'
expect_no_table

# What waits for confirmation is no restart's.
config two <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
sed 's/10\.20\.0\.3/10.20.0.2/' "$T/two.json" >"$T/three.json"
apply two
apply three --confirm 3600
expect_exit 0 spctl apply --boot
expect_match "$err" 'generation 3 was not confirmed: it is taken back'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
for with in "$T/two.json" --dry-run '--confirm 5'; do
	# shellcheck disable=SC2086 # words
	expect_exit 2 spctl apply --boot $with
	expect_match "$err" 'makes no sense with it'
done
# Its record is lost or damaged: whether it was confirmed cannot be read, so the one before comes.
for damage in garbage lost; do
	expect_exit 0 spctl apply "$T/three.json" --confirm 3600
	live=$(cat "$T/state/live")
	kill -KILL "$(pgrep -f "confirm-timer --state-dir $T/state")" # it would remember
	if [[ $damage == lost ]]; then
		rm "$T/state/applied/$live.json"
	else
		echo garbage >"$T/state/applied/$live.json"
	fi
	if [[ $damage == lost ]]; then
		host_boots
	fi
	expect_exit 0 spctl apply --boot
	expect_match "$err" "whether generation $live was confirmed cannot be read: generation 2, the newest that was"
	expect_match "$out" 'generation 2 is in the kernel again .*two.json'
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_exit 0 spctl status
	expect_match "$out" '^generation 2,'
	expect_exit 0 spctl apply --boot
	expect_match "$out" 'nothing to do: generation 2'
done
# Its files are lost: said, exit 1.
rm "$T/state/applied/2.config"
expect_exit 1 spctl apply --boot
expect_match "$err" 'generation 2 is not kept'
apply two

# The service file: as installed, its command runs with no more than the unit leaves it.
make --no-print-directory -C "$ROOT" O="$O" DESTDIR="$T/root" PREFIX=/usr install-unit >"$T/make.log" 2>&1 ||
	fail "make install-unit: $(cat "$T/make.log")"
unit=$T/root/usr/lib/systemd/system/spctl.service
mkdir -p "$T/bin"
mount --bind "$O" "$T/bin"
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
[[ $caps == *+net_admin* ]] || fail "capabilities of the unit: $caps"
read -ra line < <(sed -n 's/^ExecStart=//p' "$unit")
line[0]=$T/bin/spctl
host_boots
# Only its own directories can be written, as ProtectSystem=strict leaves it.
# shellcheck disable=SC2016 # the inner shell's
run lab_in gw unshare -m sh -c 'mount --rbind "$1" "$1" && mount --rbind "$2" "$2" && mount -o remount,ro,bind / && shift 2 &&
	exec setpriv --no-new-privs --bounding-set "$0" --inh-caps=-all "$@"' "-all,$caps" "$T" /run "${line[@]}"
expect_eq "$code" 0 'exit code of ExecStart'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
read -ra line < <(sed -n 's/^ExecReload=//p' "$unit")
# A reload of nftables.service flushes: what is run then repairs.
gw nft flush ruleset
rm -f "$T/two.json"
expect_exit 0 spctl "${line[@]:1}"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl down
