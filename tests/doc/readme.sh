#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The program in README.md: short, builds without a warning, does what it says; and
# what README.md names is there.
. "$(dirname "$0")/../common/tap.bash"

max_lines=15
warnings=(-Wall -Wextra -Werror)

# The fenced blocks of a language, and how many there are.
blocks()
{
	awk -v lang="$1" '/^```/ { on = !on && $0 == "```" lang; next } on' README.md
}

check_run()
{
	local name=$1 output status
	shift

	output=$("$@" 2>&1)
	status=$?
	expect "$name" "status 0: 1000000" "status $status: $output"
}

expect "README.md has one C program" 1 "$(grep -c '^```c$' README.md)"
blocks c > "$dir/program.c"
lines=$(wc -l < "$dir/program.c")
expect "it has 1 to $max_lines lines" yes \
	"$([ "$lines" -ge 1 ] && [ "$lines" -le "$max_lines" ] && echo yes || echo "$lines")"

for cc in gcc clang; do
	for kind in a so; do
		name="program, $cc, librseq_op.$kind"
		if ! command -v "$cc" > /dev/null; then
			skip "$name" "$cc is not installed"
			continue
		fi
		expect_success "$name: builds" "$cc" "${warnings[@]}" -O2 -Iinclude \
			-o "$dir/program" "$dir/program.c" "build/librseq_op.$kind" \
			-Wl,-rpath,"$PWD/build" -pthread &&
			check_run "$name: runs" timeout 60 "$dir/program"
	done
done

# Folders of the table, targets of links, targets of make.
missing=
while read -r path; do
	[ -e "$path" ] || missing+=" $path"
done < <(sed -n '/^| folder /,/^$/ { /^| [`]/p }' README.md | cut -d'|' -f2 | grep -o '[^` ,]*' |
	 grep .; grep -o '](\([^)#]*\)' README.md | cut -c3-)
expect "the folders and files that it names are there" "" "$missing"

missing=
for target in $(grep -o '`make [a-z0-9-]*' README.md | cut -d' ' -f2 | sort -u); do
	grep -q "^$target:" Makefile mk/*.mk || missing+=" $target"
done
expect "the targets of make that it names are there" "" "$missing"
finish
