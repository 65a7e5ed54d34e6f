. "${0%/*}/lib.sh"
. "${0%/*}/plane_lib.bash"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
r() { config $1 <<E
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"web","match":{"ports":[$4]},
 "action":{"type":"forward","forwardingEngine":"$2","targets":[{"host":"$3","port":7000}]}}]}
E
}
r one relay 10.20.0.2 9000; r two relay 10.20.0.3 9000; r more relay 10.20.0.2 9000,9010; r kernel nftables 10.20.0.3 9000
r ktwo nftables 10.20.0.2 9000
fl() { cl $LAB_TOOLS/flood 10.10.0.1:9000 -d 4 -c 4 -w 5000 | tail -1; }
apply one; fl
apply kernel; fl
apply one
( for i in {1..30}; do apply more; apply one; done ) & time fl; wait
( for i in {1..30}; do apply kernel; apply one; done ) & time fl; wait
apply kernel
( for i in {1..30}; do apply ktwo; apply kernel; done ) & time fl; wait
uptime
