# shellcheck shell=bash
# lib: numbers for the benchmarks. Samples are lines of a file.

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
