#!/bin/bash
# completion: what bash offers at each place of a command line.
. "${0%/*}/lib.sh"
cd "$T" || exit
mkdir dir
touch routes.json
eval "$("$SPCTL" completion bash)"
command -v shellcheck >/dev/null && "$SPCTL" completion bash | shellcheck -s bash -

# offer WORD...: for the last word, in one line.
offer() {
	COMP_WORDS=(spctl "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	trap - ERR # compgen without a match is no failure
	_spctl || :
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}

expect_eq "$(offer pl)" plan
expect_match "$(offer '')" '(^| )explain( |$)'
# Values from a closed list; with = bash splits the word.
expect_eq "$(offer explain --proto '')" 'tcp udp'
expect_eq "$(offer explain --proto u)" udp
expect_eq "$(offer explain --proto =)" 'tcp udp'
expect_eq "$(offer explain --proto = t)" tcp
expect_eq "$(offer explain routes.json --port 80 --proto '')" 'tcp udp'
# Directories and files where they belong, nothing where only the user knows.
expect_eq "$(offer apply --state-dir '')" dir
expect_eq "$(offer schema --man r)" routes.json
expect_eq "$(offer apply r)" routes.json
expect_eq "$(offer check routes.json d)" dir
for option in --port --client --address --sni --host --path --method --header --timeout --table; do
	expect_eq "$(offer explain "$option" '')" ''
done
# Arguments.
expect_eq "$(offer completion '')" bash
expect_eq "$(offer help st)" status
expect_match "$(offer status '')" '(^| )--json( |$)'
expect_no_match "$(offer version '')" 'routes'
# The options of each command, and no others.
expect_eq "$(offer explain --pro)" --proto
expect_eq "$(offer apply --pro)" ''
expect_eq "$(offer down --dr)" --drain
expect_exit 2 "$SPCTL" completion fish
