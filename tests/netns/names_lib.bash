# shellcheck shell=bash
# names_lib: the resolver's files of this mount namespace, and a name server in the gateway.

# names_files [TIMEOUT]: /etc/hosts from stdin (later: $T/hosts), and 10.99.0.1 as the only name
# server, which may take that long (1 s).
names_files() {
	cat >"$T/hosts"
	echo 'hosts: files dns' >"$T/nsswitch"
	printf 'nameserver 10.99.0.1\noptions timeout:%s attempts:1\n' "${1-1}" >"$T/resolv"
	mount --bind "$T/hosts" /etc/hosts
	mount --bind "$T/nsswitch" /etc/nsswitch.conf
	mount --bind "$T/resolv" /etc/resolv.conf
}

# zone LINE...: what the name server says from now on.
zone() { printf '%s\n' "$@" >"$T/zone.new" && mv "$T/zone.new" "$T/zone"; }

# dns_start: it listens when this returns; its pid is in $dns, what it was asked in $T/asked.
dns_start() {
	lab_start gw "$T/dnsd.log" "$LAB_TOOLS/dnsd" 10.99.0.1:53 "$T/zone" "$T/asked"
	# shellcheck disable=SC2034 # for the test
	dns=$lab_pid
	eventually grep -q port "$T/dnsd.log"
}
