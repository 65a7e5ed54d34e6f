# shellcheck shell=bash
# failpoint_lib: for the tests that kill spctl at every step. The build with FAILPOINTS=1 is $fp (SPCTL_FP,
# default $O-fp/spctl; SKIP without it), the names of the steps are ${points[@]}.
fp=${SPCTL_FP:-$O-fp/spctl}
[[ -x $fp ]] || skip "no build with FAILPOINTS=1 at $fp"
mapfile -t points < <(SPCTL_FAILPOINT=list "$fp" version | grep -oE '^[[:space:]]*[a-z_]+$' | tr -d ' \t')
((${#points[@]} >= 10)) || fail "only ${#points[@]} fail points: ${points[*]}"
