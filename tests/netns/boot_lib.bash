# shellcheck shell=bash
# boot_lib: the gateway starts anew.

boots=0

# host_boots: what lives in the kernel and in RUN is gone, and the boot id is another. Processes are the
# test's matter.
host_boots() {
	rm -rf "$T/run"
	gw nft flush ruleset
	gw conntrack -F 2>/dev/null || :
	# shellcheck disable=SC2016 # the inner shell's
	gw sh -c 'for f in ipv4/ip_forward ipv4/conf/all/route_localnet ipv6/conf/all/forwarding; do echo 0 >/proc/sys/net/$f; done'
	((boots == 0)) || umount /proc/sys/kernel/random/boot_id
	boots=$((boots + 1))
	printf '%08d-0000-4000-8000-000000000000\n' "$boots" >"$T/boot_id"
	mount --bind "$T/boot_id" /proc/sys/kernel/random/boot_id
	expect_eq "$(cat /proc/sys/kernel/random/boot_id)" "$(cat "$T/boot_id")" 'the staged boot id'
}
