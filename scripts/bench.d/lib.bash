# shellcheck shell=bash
# lib: what the benchmarks share: a network, the peers, numbers. They set T (a directory), load (the tool), workers
# (of a peer; empty: its own choice), pin (a command before a peer's) and name_of() (a path's name, for people).
# Samples are lines of $T/samples: PATH MEASURE ROUND VALUE CPU P50 P99 FAILED PROXY-CPU.
# shellcheck disable=SC2154,SC2034

# machine: one line that says what the numbers are of.
machine() {
	echo "Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), $(date -u +%F)"
}

# median_spread: of the numbers on standard input: "MEDIAN MIN MAX".
median_spread() {
	sort -g | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[1], v[NR] }'
}

# busy_ticks: what all CPUs have worked since the machine started, in ticks of 10 ms.
busy_ticks() {
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8; exit }' /proc/stat
}

# The kernel gives each session of processes its share (sched_autogroup, sched(7)). A service in a session of its own
# then competes with load and server together, a peer that was started here with each of them alone: the same program
# had 0.9 or 1.07 of haproxy's connections, for where it was started. So nobody has that while it is measured.
autogroup=/proc/sys/kernel/sched_autogroup_enabled
autogroup_was=''
even_shares() {
	[[ $(cat $autogroup 2>/dev/null) == 1 ]] || return 0
	echo 0 2>/dev/null >$autogroup && autogroup_was=1
}
even_shares_end() { [[ -z $autogroup_was ]] || echo 1 >$autogroup; }

# share_begin PERCENT PID...: those processes together have so much of one CPU, no more; 1 = not on this kernel.
# share_end: as before. Control groups of either version.
share_v1=/sys/fs/cgroup/cpu share_v2=/sys/fs/cgroup share=''
share_begin() {
	local percent=$1 pid
	shift
	if [[ -e $share_v1/cpu.cfs_quota_us ]]; then
		share=$share_v1/bench-$$
		mkdir "$share" && echo 10000 >"$share/cpu.cfs_period_us" && echo $((percent * 100)) >"$share/cpu.cfs_quota_us" || return 1
	elif echo +cpu 2>/dev/null >$share_v2/cgroup.subtree_control; then
		share=$share_v2/bench-$$
		mkdir "$share" && echo "$((percent * 100)) 10000" >"$share/cpu.max" || return 1
	else
		return 1
	fi
	for pid; do echo "$pid" >"$share/cgroup.procs"; done
}
share_end() {
	local pid
	[[ -n $share ]] || return 0
	while read -r pid; do
		echo "$pid" >"${share%/*}/cgroup.procs" || :
	done <"$share/cgroup.procs" 2>/dev/null
	rmdir "$share" 2>/dev/null || :
	share=''
}

# say TEXT: progress, on a terminal only.
say() { [[ ! -t 2 ]] || printf '\r%-100s\r%s' '' "$*" >&2; }

# ---- the network: no bridge, nothing but what is measured

network() { # CPUS-OF-THE-SERVER
	local ns
	lab_ns cl gw srv
	ip -batch - <<-END
		link add eth0 netns cl type veth peer name lan netns gw
		link add eth0 netns srv type veth peer name srv netns gw
	END
	for ns in cl gw srv; do ip -n $ns link set lo up; done
	ip -n cl addr add 10.10.0.2/24 dev eth0
	ip -n gw addr add 10.10.0.1/24 dev lan
	ip -n gw addr add 10.20.0.1/24 dev srv
	ip -n srv addr add 10.20.0.2/24 dev eth0
	ip -n cl link set eth0 up
	ip -n gw link set lan up
	ip -n gw link set srv up
	ip -n srv link set eth0 up
	ip -n cl route add default via 10.10.0.1
	ip -n srv route add default via 10.20.0.1
	lab_in gw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	# Else whoever closes first runs out of ports, and that is what is measured from then on.
	for ns in cl gw srv; do
		lab_in $ns sh -c 'echo 32 >/proc/sys/net/ipv4/tcp_max_tw_buckets
			echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range
			echo 4096 >/proc/sys/net/core/somaxconn
			echo cubic >/proc/sys/net/ipv4/tcp_congestion_control' 2>/dev/null || :
	done
	lab_in srv taskset -c "$1" "${load}d" 10.20.0.2:7000 >"$T/server" &
	for ((i = 0; i < 50; i++)); do
		[[ ! -s $T/server ]] || return 0
		sleep 0.1
	done
	echo "scripts/bench: the server does not start" >&2
	exit 1
}

# ---- the peers: Debian's defaults, and tuned by their manuals

sni_names() { seq -f 'host%02g.example.test' 16; }

haproxy_conf() { # default|tuned [sni]
	echo global
	[[ -z $workers ]] || echo "  nbthread $workers"
	[[ $1 == default ]] || cat <<-END
		  maxconn 8100
		  maxpipes 800
		  tune.bufsize 65536
		  tune.maxpollevents 400
		  tune.maxaccept 256
		  tune.pipesize 1048576
	END
	cat <<-END
		defaults
		  mode tcp
		  timeout connect 5s
		  timeout client 60s
		  timeout server 60s
	END
	[[ $1 == default ]] || cat <<-END
		  option dontlognull
		  option tcp-smart-accept
		  option tcp-smart-connect
		  option splice-auto
	END
	local bind="bind 10.10.0.1:9000"
	[[ $1 == default ]] || bind+=' backlog 4096'
	if [[ ${2-} != sni ]]; then
		printf '%s\n' 'listen bench' "  $bind" '  server s 10.20.0.2:7000'
		return
	fi
	printf '%s\n' 'frontend bench' "  $bind" '  tcp-request inspect-delay 5s' \
		'  tcp-request content accept if { req.ssl_hello_type 1 }'
	if [[ $1 == tuned ]]; then
		sni_names | awk '{ print $1, "b" ++n }' >"$T/haproxy.map"
		echo "  use_backend %[req.ssl_sni,lower,map_str($T/haproxy.map)]"
	else
		sni_names | awk '{ print "  use_backend b" ++n, "if { req.ssl_sni -i", $1, "}" }'
	fi
	sni_names | awk '{ print "backend b" ++n "\n  server s 10.20.0.2:7000" }'
}

# What a server block of nginx does with a connection.
nginx_to() { # [sni]
	# shellcheck disable=SC2016 # a variable of nginx
	[[ ${1-} == sni ]] && echo 'ssl_preread on; proxy_pass $to;' || echo 'proxy_pass 10.20.0.2:7000;'
}
nginx_map() { # [sni]
	[[ ${1-} == sni ]] || return 0
	sni_names | awk '
		{ up = up "upstream u" ++n " { server 10.20.0.2:7000; }\n"; map = map $1 " u" n ";\n" }
		END { print up "map $ssl_preread_server_name $to {\n" map "}" }'
}
# With 768 connections, Debian's number, nginx holds 384: nginx_connections is for more.
nginx_conf() { # default|tuned [sni]
	local module=/usr/lib/nginx/modules/ngx_stream_module.so
	[[ ! -e $module ]] || echo "load_module $module;"
	cat <<-END
		user root;
		daemon off;
		pid $T/nginx.pid;
		error_log $T/nginx.log;
		worker_processes ${workers:-auto};
	END
	if [[ $1 == default ]]; then
		cat <<-END
			${nginx_connections:+worker_rlimit_nofile 20000;}
			events { worker_connections ${nginx_connections:-768}; }
			stream {
			 $(nginx_map "${2-}")
			 # Without half_close it ends a stream before the server has said what it got.
			 proxy_half_close on;
			 server { listen 10.10.0.1:9000; $(nginx_to "${2-}") }
			}
		END
	else
		cat <<-END
			worker_rlimit_nofile 20000;
			events { worker_connections ${nginx_connections:-8192}; multi_accept on; use epoll; }
			stream {
			 $(nginx_map "${2-}")
			 tcp_nodelay on;
			 proxy_buffer_size 64k;
			 proxy_connect_timeout 5s;
			 proxy_half_close on;
			 server { listen 10.10.0.1:9000 reuseport backlog=4096; $(nginx_to "${2-}") }
			}
		END
	fi
}
peer() { # COMMAND...: in the gateway, until path_down
	nsenter --net=/run/netns/gw -- "${pin[@]}" "$@" >"$T/peer.log" 2>&1 & # lab_in would be a shell in between
	peer_pid=$!
	for ((i = 0; i < 100; i++)); do
		[[ -z $(lab_in gw ss -Hltn 'sport = 9000') ]] || return 0
		sleep 0.05
	done
	echo "scripts/bench: does not start: $*" >&2
	cat "$T/peer.log" >&2
	exit 1
}

# ---- numbers

# ratios PATH REFERENCE MEASURE [FIELD]: "MEDIAN MIN MAX" over the rounds
ratios() {
	awk -v a="$1" -v b="$2" -v m="$3" -v f="${4-4}" '
		$2 == m && $1 == a { x[$3] = $f }
		$2 == m && $1 == b { y[$3] = $f }
		END { for (r in x) if (y[r] > 0) print x[r] / y[r] }' "$T/samples" | median_spread
}
column() { # PATH MEASURE FIELD: median
	awk -v a="$1" -v m="$2" -v f="$3" '$2 == m && $1 == a { print $f }' "$T/samples" | median_spread | cut -d' ' -f1
}
failed() { awk -v a="$1" '$1 == a { n += $8 } END { print n + 0 }' "$T/samples"; }
cell() { # PATH REFERENCE MEASURE [FIELD]
	local m lo hi
	read -r m lo hi < <(ratios "$@") || :
	[[ -n ${m-} ]] && printf '%.2f (%.2f-%.2f)' "$m" "$lo" "$hi" || printf '%s' -
}
# The better of a peer's two rows, by the median of a field; less: where less is better.
better_of() { # TOOL MEASURE [FIELD [less]]
	local d t
	d=$(column "$1-default" "$2" "${3-4}") t=$(column "$1-tuned" "$2" "${3-4}")
	awk -v d="${d:-0}" -v t="${t:-0}" -v n="$1" -v less="${4-}" 'BEGIN {
		d += 0; t += 0
		print n ((less != "" ? d > 0 && (d < t || t == 0) : d > t) ? "-default" : "-tuned") }'
}
# bars MEASURE PATH...: the ratio of each to plain routing, 40 marks long.
bars() {
	local measure=$1 path ratio
	shift
	for path; do
		ratio=$(ratios "$path" plain "$measure" | cut -d' ' -f1)
		printf '  %-24s' "$(name_of "$path")"
		awk -v r="${ratio:-0}" 'BEGIN { for (i = 0; i < r * 40; i++) printf "#"; printf " %.2f\n", r }'
	done
}
