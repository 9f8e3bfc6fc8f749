#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The planted faults can be planted: each patch applies to what it is for, without fuzz; and
# the test that has to catch it, if it runs on this machine, is one of "make check". Whether it
# does is for "make check-mutants". Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# Of a folder, what does not apply to the kernel with the series.
if [ "${1-}" = --kernel ]; then
	for mutant in "${@:2}"; do
		git -C "$KERNEL_SRC" apply --check "$mutant" || exit
	done
	exit 0
fi

mapfile -t vm < <(grep -l '^Where: vm$' "$PWD"/tests/mutants/*.patch)
mapfile -t here < <(grep -L '^Where: vm$' "$PWD"/tests/mutants/*.patch)
expect "there are at least 25" yes "$([ $((${#vm[@]} + ${#here[@]})) -ge 25 ] && echo yes)"
tests/check --list | cut -d ' ' -f 2- > "$dir/tests"
for mutant in "${here[@]}"; do
	expect_success "${mutant##*/} applies" git apply --check "$mutant"
	grep -q '^Where: host$' "$mutant" || continue
	expect_success "${mutant##*/}: make check runs its test" \
		grep -qxF -- "$(sed -n 's/^Test: //p' "$mutant")" "$dir/tests"
done
expect_success "those of the kernel apply" tools/kernel with 6.12 \
	tests/series/mutants.sh --kernel "${vm[@]}"
finish
