#!/bin/bash
# spctl.service as `make install` installs it: brings the routes back once, after nftables.service and with
# every flush of it, and takes nothing away when it is stopped; systemd finds no fault in it.
. "${0%/*}/lib.sh"
make --no-print-directory -C "$ROOT" O="$O" DESTDIR="$T/root" PREFIX=/usr install >"$T/make.log" 2>&1 ||
	fail "make install: $(cat "$T/make.log")"
unit=$T/root/usr/lib/systemd/system/spctl.service
[[ -x $T/root/usr/sbin/spctl && -f $unit ]] || fail 'spctl or its unit is not installed'
expect_no_match "$(cat "$unit")" '@[A-Z]+@' 'what make puts in'

# has SECTION KEY VALUE: that line, once, in that section
has() {
	expect_eq "$(sed -n "/^\[$1\]/,/^\[/s/^$2=//p" "$unit")" "$3" "$2 in [$1]"
}
has Service Type oneshot
has Service RemainAfterExit yes
has Service ExecStart '/usr/sbin/spctl apply --boot'
has Service ExecReload '/usr/sbin/spctl apply --boot'
has Service ExecStop ''
has Service ExecStopPost ''
has Install WantedBy multi-user.target
# A restart and a reload of nftables.service flush: they reach us, and we are later.
has Unit PartOf nftables.service
has Unit ReloadPropagatedFrom nftables.service
expect_match " $(sed -n 's/^After=//p' "$unit" | paste -sd' ') " ' nftables.service '
# What apply --confirm left in RUN outlives the unit.
has Service StateDirectory spctl
has Service RuntimeDirectory spctl
has Service RuntimeDirectoryPreserve yes

# The service itself: one that says when it is ready, keeps its sockets, and is left to end by itself.
unit=${unit%/*}/spctl-run.service
expect_no_match "$(cat "$unit")" '@[A-Z]+@' 'what make puts in'
has Service Type notify
has Service ExecStart '/usr/sbin/spctl run'
# shellcheck disable=SC2016 # $MAINPID is systemd's
has Service ExecReload '/bin/kill -USR2 $MAINPID'
has Service KillMode mixed
expect_match "$(sed -n 's/^FileDescriptorStoreMax=//p' "$unit")" '^[1-9][0-9]+$'
# Not after the unit that waits for it at boot.
expect_no_match "$(sed -n 's/^After=//p' "$unit")" 'spctl'

need_tool systemd-analyze
# It looks for the program where the unit says: the same unit with the path that there is.
make --no-print-directory -C "$ROOT" O="$O" UNITDIR="$T/verify" SBINDIR="$T/root/usr/sbin" install-unit >/dev/null
for unit in spctl spctl-run; do
	expect_exit 0 systemd-analyze --man=no verify "$T/verify/$unit.service"
	expect_eq "$err$out" '' "systemd-analyze verify $unit"
done
