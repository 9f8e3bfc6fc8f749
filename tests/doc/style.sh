#!/bin/bash
# SPDX-License-Identifier: MIT
#
# An SPDX line in every file; public headers that compile alone, as C and as C++,
# without a warning; no path of somebody's machine.
. "$(dirname "$0")/../common/tap.bash"

# What is tracked, or new and not ignored. Licence texts and letters carry no SPDX line,
# what a patch adds carries its own, debian/copyright speaks for its folder, and the ABI
# is what a tool has written.
files()
{
	git ls-files -z --cached --others --exclude-standard |
		grep -zvE '^LICENSES/|\.patch$|/cover-letter\.txt$|^debian/|\.abi$' |
		while IFS= read -r -d '' f; do
			[ -f "$f" ] && grep -qI . "$f" && printf '%s\n' "$f"
		done
}

if ! git rev-parse --show-toplevel > /dev/null 2>&1; then
	skip "files have an SPDX line" "not a git tree"
else
	files > "$dir/files"
	expect_success "there are files" test -s "$dir/files"
	expect "every file has an SPDX line among its first five" "" \
		"$(while IFS= read -r f; do
			head -n 5 "$f" | grep -q 'SPDX-License-Identifier: ' || printf '%s\n' "$f"
		done < "$dir/files")"
	expect "the licences named have their text under LICENSES" "" \
		"$(xargs -d '\n' -a "$dir/files" sed -n \
			's/^[^A-Za-z]*SPDX-License-Identifier: //p' |
		   grep -oE '[A-Za-z][A-Za-z0-9.-]+' | grep -vxE 'WITH|OR|AND|--' | sort -u |
		   while read -r id; do [ -e "LICENSES/$id.txt" ] || echo "$id"; done)"
	# The brackets keep this line from finding itself.
	expect "no file names a folder of somebody's machine" "" \
		"$(xargs -d '\n' -a "$dir/files" grep -nE '(^|[^a-zA-Z0-9_.$}])/(hom[e]|wor[k]|roo[t])/')"
fi

expect "patches add files with an SPDX line" "" \
	"$(awk '/^\+\+\+ / { file = $2 } /^@@ -0,0 / { getline
		if ($0 !~ /SPDX-License-Identifier: / &&
		    file !~ /selftests\/.*\/(config|settings)$/) print FILENAME ": " file }' \
		kernel-patches/*/*.patch)"

# A caller of every inline function, so that it is compiled and not skipped.
cat > "$dir/linux_cpu_opv.c" <<'END'
#include <linux/cpu_opv.h>
int use(void);
int use(void) { struct cpu_op op; op.op = CPU_ADD_OP; return op.op; }
END
cat > "$dir/rseq_op_rseq_op.c" <<'END'
#include <rseq_op/rseq_op.h>
int use(intptr_t *v, int cpu);
int use(intptr_t *v, int cpu)
{
	const char *why;
	struct rseq_op_stats stats;

	rseq_op_stats(&stats, sizeof(stats));
	return rseq_op_addv(v, 1, cpu) | rseq_op_cmpeqv_storev(v, 1, 2, cpu) |
	       rseq_op_cmpeqv_storev_storev(v, 1, v + 1, 2, 3, cpu) |
	       rseq_op(NULL, 0, rseq_op_current_cpu(), 0) | rseq_op_nr_cpus() |
	       (rseq_op_backend(&why) == RSEQ_OP_BACKEND_NONE);
}
END
for cc in "gcc -std=c11" "clang -std=c11" "g++ -std=c++17 -x c++" "clang++ -std=c++17 -x c++"; do
	for program in "$dir"/*.c; do
		header=$(sed -n '1s/#include //p' "$program")
		name="$header alone, ${cc% -x*}"
		if ! command -v "${cc%% *}" > /dev/null; then
			skip "$name" "${cc%% *} is not installed"
			continue
		fi
		# shellcheck disable=SC2086
		expect_success "$name" $cc -O2 -Wall -Wextra -Wpedantic -Werror -Iinclude \
			-c -o "$dir/alone.o" "$program"
	done
done
finish
