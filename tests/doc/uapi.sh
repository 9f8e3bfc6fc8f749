#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The system call's numbers and layout: header, series, library and manual agree.
. "$(dirname "$0")/../common/tap.bash"

header=include/linux/cpu_opv.h
page=man/cpu_opv.2

# The file that a series adds under that path, from its patches.
added()
{
	cat "$1"/*.patch | awk -v file="+++ b/$2" '
	/^diff --git / { on = 0 }
	on && /^\+/ { print substr($0, 2) }
	$0 == file { on = 1 }'
}

for series in kernel-patches/linux-*; do
	name=${series##*/}
	added "$series" include/uapi/linux/cpu_opv.h > "$dir/header"
	if [ ! -s "$dir/header" ]; then
		fail "$name: the series adds $header"
		continue
	fi
	expect_same "$name: $header is the one that the series adds" "$dir/header" "$header"
	expect "$name: the numbers that the series wires up" 600 \
		"$(cat "$series"/*.patch | awk '$1 ~ /^\+[0-9]+$/ && $3 == "cpu_opv" {
			print substr($1, 2) }' | sort -u)"
done
expect "the number in the library's header" 600 \
	"$(sed -n 's/^# define __NR_cpu_opv\t//p' include/rseq_op/cpu_op.h)"
expect "the numbers in the manual" 600 \
	"$(sed -n 's/^\.Fa "\([0-9]*\)"$/\1/p; s/^#define NR_CPU_OPV \(.*\)/\1/p;
		   s/.*with the number \([0-9]*\) in the.*/\1/p' "$page" | sort -u)"

# The table of members, the list of operations and the limits, as assertions in C.
mandoc -T ascii -O width=100 "$page" | col -bx > "$dir/page"
{
	echo '#include <stddef.h>'
	echo '#include <linux/cpu_opv.h>'
	awk '$1 ~ /^[0-9]+$/ && $2 ~ /^[0-9]+$/ && NF == 3 {
		printf "_Static_assert(offsetof(struct cpu_op, %s) == %s, \"offset of %s\");\n", $3, $1, $3
		printf "_Static_assert(sizeof(((struct cpu_op *)0)->%s) == %s, \"size of %s\");\n", $3, $2, $3
	}' "$dir/page"
	awk '$1 ~ /^[0-9]+$/ && $2 ~ /^CPU_.*_OP$/ && NF == 2 {
		printf "_Static_assert(%s == %s, \"number of %s\");\n", $2, $1, $2
	}
	$1 ~ /^CPU_OP_/ && $2 ~ /^\([0-9]+\)$/ && NF == 2 {
		printf "_Static_assert(%s == %s, \"value of %s\");\n", $1, $2, $1
	}' "$dir/page"
} > "$dir/layout.c"
expect "the manual's table has every member" \
	"$(sed -n '/^struct cpu_op {/,/^};/ s/^\t\t\t__.* \([a-z_]*\);/\1/p' "$header" | sort)" \
	"$(awk '$1 ~ /^[0-9]+$/ && $2 ~ /^[0-9]+$/ && $3 ~ /^u\./ { sub(/.*\./, "", $3); print $3 }' \
		"$dir/page" | sort)"
expect "the manual's list has every operation" \
	"$(grep -oE '^	CPU_[A-Z_]+_OP\b' "$header" | tr -d '\t' | sort)" \
	"$(awk '$1 ~ /^[0-9]+$/ && $2 ~ /^CPU_.*_OP$/ && NF == 2 { print $2 }' "$dir/page" | sort)"
expect "the manual has every limit and flag" \
	"$(grep -oE '(define |^	)CPU_OP_[A-Z_]+\b' "$header" | grep -oE 'CPU_OP.*' | sort)" \
	"$(awk '$1 ~ /^CPU_OP_/ && $2 ~ /^\([0-9]+\)$/ { print $1 }' "$dir/page" | sort)"
for bits in 64 32; do
	expect_success "offsets, sizes and numbers in the manual, $bits-bit" \
		cc -m$bits -ffreestanding -fsyntax-only -Wall -Wextra -Werror -Iinclude "$dir/layout.c"
done

# Unused bytes must be zero, and an initializer need not clear what has no name.
echo '#include <linux/cpu_opv.h>' > "$dir/padded.c"
for cc in gcc clang; do
	if command -v "$cc" > /dev/null; then
		expect_success "an initializer reaches every byte of struct cpu_op, $cc" \
			"$cc" -fsyntax-only -Wpadded -Werror -Iinclude "$dir/padded.c"
	else
		skip "an initializer reaches every byte of struct cpu_op, $cc" "$cc is not installed"
	fi
done

# The result and errno values of the call's kernel-doc are in the manual, and no other.
expect "errors in the manual are those of the call's kernel-doc" \
	"$(printf '%s\n' ENOSYS $(cat kernel-patches/linux-6.12/*.patch |
		sed -n 's/^+ \* \* %-\(E[A-Z]*\)\t.*/\1/p') | sort -u)" \
	"$(sed -n '/^\.Sh ERRORS/,/^\.Sh SEE/ s/^\.It Bq Er \(E[A-Z]*\)$/\1/p' "$page" | sort -u)"
finish
