# shellcheck shell=bash
# unit_lib: what systemd would leave a process of our units, without systemd: its capabilities, its
# system calls, its environment.

# units_install: as make puts them, where systemd would look; the program is $T/bin/spctl.
units_install() {
	UNITS=/run/systemd/system
	mkdir -p "$T/bin" "$UNITS"
	mount --bind "$O" "$T/bin"
	make --no-print-directory -C "$ROOT" O="$O" UNITDIR="$UNITS" SBINDIR="$T/bin" install-unit \
		>"$T/make.log" 2>&1 || fail "make install-unit: $(cat "$T/make.log")"
}

# unit_value UNIT KEY: all its values, on one line.
unit_value() { sed -n "s/^$2=//p" "$UNITS/$1.service" | paste -sd' '; }

# What a filter stands for. The groups are those of systemd 252, Debian 12's:
# tests/data/systemd has them as `systemd-analyze syscall-filter` expands them.
unit_calls() {
	local word
	for word in $(unit_value "$1" SystemCallFilter); do
		case $word in
		@*) cat "$ROOT/tests/data/systemd/$word" || fail "no list of $word" ;;
		[a-z]*) echo "$word" ;;
		*) fail "SystemCallFilter: what is $word?" ;;
		esac
	done
}

# under UNIT COMMAND...: in the gateway, with what the unit leaves it.
under() {
	local unit=$1 caps env
	shift
	caps=$(unit_value "$unit" CapabilityBoundingSet | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
	[[ $caps == *+net_admin* ]] || fail "capabilities of $unit: $caps"
	read -ra env < <(unit_value "$unit" Environment) || :
	unit_calls "$unit" >"$T/$unit.calls"
	lab_in gw env "${env[@]}" setpriv --no-new-privs --bounding-set="-all,$caps" --inh-caps=-all \
		"$LAB_TOOLS/callfilter" "$T/$unit.calls" "$@"
}

# unit_command UNIT: the words of ExecStart into $line.
unit_command() { read -ra line < <(unit_value "$1" ExecStart); }

# manager_start: who starts units here: a program `systemctl` in $T/bin/tool, to be put into PATH, and
# a loop that runs what it is told to. What the service says is in $T/unit.log.
manager_start() {
	mkdir -p "$T/tool"
	mkfifo "$T/manager"
	printf '#!/bin/sh\necho "$@" >%s\n' "$T/manager" >"$T/tool/systemctl"
	chmod +x "$T/tool/systemctl"
	manager &
	LAB_PIDS+=("$!")
	PATH=$T/tool:$PATH
}
manager() {
	local words line
	while :; do
		read -r words <"$T/manager" || continue
		echo "systemctl $words" >>"$T/manager.log"
		[[ $words == "start --no-block spctl-run.service" ]] || continue
		unit_command spctl-run
		under spctl-run "${line[@]}" 2>>"$T/unit.log" &
	done
}
