#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/list names every test program and every test script of the tree, and nothing that is
# not there. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# The programs as the Makefile knows them, without build/tests/; and the scripts.
in_tree()
{
	make -s -f Makefile -f - names <<< 'names: ; @printf "%s\n" $(patsubst build/tests/%,%,$(tests) $(opener))'
	find tests -name '*.sh'
}

# The first word of the last field of [tests], in places that belong to the tree.
in_list()
{
	sed '1,/^\[tests\]$/d' tests/list |
		awk -F ' *[|] *' 'NF == 4 && $1 != "vm-selftests" { sub(/ .*/, "", $4); print $4 }'
}

# The selftests of the series, as the Makefile that a patch adds names them.
selftests()
{
	sed -nE 's/^\+TEST_GEN_PROGS := //p' "$1"/*selftests*.patch | tr ' ' '\n'
}

in_tree | sort -u > "$dir/tree"
in_list | sort -u > "$dir/list"
expect_success "tests/check reads the list" tests/check --all --list
expect_success "the tree has test programs" grep -qx unit/ops "$dir/tree"
expect "every test program and script is in the list" "" "$(comm -23 "$dir/tree" "$dir/list")"
expect "the list names nothing else" "" "$(comm -13 "$dir/tree" "$dir/list")"
for series in kernel-patches/linux-*; do
	selftests "$series" | sed 'p' | sort > "$dir/tree"
	sed -nE 's/^vm-selftests .*[|] (32|64)\/(.*)/\2/p' tests/list | sort > "$dir/list"
	expect_same "${series##*/}: its selftests are in the list, for 64 and for 32 bits" \
		"$dir/tree" "$dir/list"
done
finish
