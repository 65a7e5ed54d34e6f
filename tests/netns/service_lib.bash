# shellcheck shell=bash
# service_lib: a service that is talked to over control.sock by hand, as `spctl apply` does it.

RUN=$SPCTL_RUN_DIR
ASK=$LAB_TOOLS/ask
SERVICE=''

# service_start ARG...: in the gateway's namespace; its words are in $T/service.log.
service_start() {
	service_launch "$@"
	eventually grep -q 'service is ready' "$T/service.log"
}
service_launch() {
	: >"$T/service.log"
	nsenter --net=/run/netns/gw -- "${SERVICE_BINARY:-$SPCTL}" run "$@" 2>>"$T/service.log" &
	SERVICE=$!
	LAB_PIDS+=("$SERVICE")
}

# ask JSON...: prints the answers, a line each.
ask() { printf '%s\n' "$@" | timeout $((10 * STRETCH)) "$ASK" "$RUN/control.sock"; }
service_status() { ask '{"type":"status"}' | jq -c .service | head -n 1; }
dataplane_pid() { service_status | jq .dataplane; }

# config_relay NAME PORT [HOST]: $T/NAME.json: that port by the relay to HOST:7000 (10.20.0.2).
config_relay() {
	config "$1" <<-EOF
		{"routes":[{"name":"web","match":{"ports":$2},
		  "action":{"type":"forward","forwardingEngine":"relay",
		    "targets":[{"host":"${3-10.20.0.2}","port":7000}]}}]}
	EOF
}

# relay_load GENERATION PORT HOST:PORT...: a load of one relay route.
relay_load() {
	local generation=$1 port=$2 list='' i=0 t
	shift 2
	for t; do
		i=$((i + 1))
		list+="${list:+,}{\"tag\":$i,\"kind\":\"address\",\"host\":\"${t%:*}\",\"port\":${t##*:},
			\"portKind\":\"fixed\",\"weight\":1,\"backup\":false,\"priority\":0,\"sendProxy\":0}"
	done
	jq -c . <<-EOF
		{"type":"load","generation":$generation,"sets":[],
		 "limits":{"connections":1000,"undecided":100,"memory":100000000,"perAddress":0,"perMinute":0},
		 "routes":[{"id":1,"name":"web","tier":"relay","targets":[$list],"balance":"round-robin",
		   "maxConnections":0,"maxConnectionsPerIP":0,"connectionRate":0,
		   "sendProxy":0,"acceptProxy":false,"connectTimeout":5000,"initialDataTimeout":60000,
		   "headTimeout":60000,"serverFirstAfter":1000,"inactivityTimeout":0,"maxLifetime":0,
		   "keepAlive":true,"keepAliveDelay":60000,"noDelay":true}],
		 "cells":[{"from":$port,"to":$port,"routes":[0]}]}
	EOF
}

# prepare GENERATION PORT HOST:PORT...: the request.
prepare() {
	local port=$2
	printf '{"type":"prepare","generation":%s,"table":"%s","listeners":[{"port":%s}],"load":%s}\n' \
		"$1" "$TABLE" "$port" "$(relay_load "$@")"
}

# service_apply GENERATION PORT HOST:PORT...: prepared and committed.
service_apply() {
	local got
	got=$(ask "$(prepare "$@")" "{\"type\":\"commit\",\"generation\":$1}")
	expect_match "$got" '"type":"prepared".*"type":"committed"' "generation $1"
}

# expect_no_listener PORT (also for eventually): nobody listens there in the gateway.
expect_no_listener() { [[ -z $(gw ss -Htln "sport = :$1") ]]; }
