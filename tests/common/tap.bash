# SPDX-License-Identifier: MIT
#
# What tests in bash share: TAP, a temporary folder $dir, and the top of the tree as
# the working directory. A test ends by calling "finish". It may define "context",
# which prints what helps to understand any failure.

set -u
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
number=0
failures=0

# pass NAME; skip NAME WHY
pass()
{
	number=$((number + 1))
	printf 'ok %d - %s\n' "$number" "$1"
}

skip()
{
	number=$((number + 1))
	printf 'ok %d - %s # SKIP %s\n' "$number" "$1" "$2"
}

# fail NAME [DETAILS]
fail()
{
	number=$((number + 1))
	failures=$((failures + 1))
	printf 'not ok %d - %s\n' "$number" "$1"
	[ -z "${2-}" ] || sed 's/^/# /' <<< "$2"
	! declare -F context > /dev/null || context | sed 's/^/# /'
}

# expect NAME EXPECTED ACTUAL
expect()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "expected: $2
actual: $3"
	fi
}

# expect_match NAME REGEX ACTUAL: all of it matches.
expect_match()
{
	if [[ $3 =~ ^($2)$ ]]; then
		pass "$1"
	else
		fail "$1" "expected a match of: $2
actual: $3"
	fi
}

# expect_same NAME EXPECTED ACTUAL: files; the difference is shown.
expect_same()
{
	local difference

	if difference=$(diff -u --label expected --label actual "$2" "$3"); then
		pass "$1"
	else
		fail "$1" "$difference"
	fi
}

# expect_success NAME COMMAND...: it succeeds; its output is shown if not.
expect_success()
{
	local name=$1 output
	shift

	if output=$("$@" 2>&1); then
		pass "$name"
	else
		fail "$name" "expected: success of: $*
actual: status $?
$output"
		return 1
	fi
}

# kernels [VERSION...]: these, or all that the tree has a series for.
kernels()
{
	[ $# -gt 0 ] || set -- kernel-patches/linux-*
	printf '%s\n' "${@#kernel-patches/linux-}"
}

finish()
{
	[ "$number" -gt 0 ] || fail "there is something to test"
	printf '1..%d\n' "$number"
	[ "$failures" -eq 0 ]
	exit
}
