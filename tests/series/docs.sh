#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The documentation that the series add: it builds without a warning, and so do the
# comments that it includes; it is in the index; its examples compile. Only that one
# page is built, with the configuration of the kernel. Prints TAP.
#
# usage: tests/series/docs.sh [KERNEL...]	(default: all)
. "$(dirname "$0")/../common/tap.bash"

self=tests/series/docs.sh
page=Documentation/userspace-api/cpu_opv.rst

# ---- one kernel, under "tools/kernel with" -----------------------------------

added_sources()
{
	git -C "$KERNEL_SRC" diff --name-only --diff-filter=A base HEAD -- '*.[ch]' ':!tools'
}

comments()
{
	local sources

	mapfile -t sources < <(added_sources)
	echo "${#sources[@]} files"
	(cd "$KERNEL_SRC" && scripts/kernel-doc -none -Werror "${sources[@]}" 2>&1)
}

# The first line of the index is a fault, which shows that faults are told.
build_page()
{
	mkdir "$dir/in"
	cp "$KERNEL_SRC/$page" "$dir/in"
	printf '%s\n' '*unfinished' '' '.. toctree::' '' '   cpu_opv' > "$dir/in/index.rst"
	PYTHONDONTWRITEBYTECODE=1 BUILDDIR=$dir srctree=$KERNEL_SRC KERNELVERSION=$kver \
		sphinx-build -q -b html -c "$KERNEL_SRC/Documentation" -d "$dir/trees" \
		-D version="$kver" -D release="$kver" -D kerneldoc_srctree="$KERNEL_SRC" \
		-D kerneldoc_bin="$KERNEL_SRC/scripts/kernel-doc" \
		"$dir/in" "$dir/out" > "$dir/log" 2>&1 || echo "status $?"
	grep -F "$dir/in/" "$dir/log" | sed "s,$dir/in/,,"
}

in_index()
{
	grep -cx '   cpu_opv' "$KERNEL_SRC/${page%/*}/index.rst"
}

# The blocks of C, one file each.
examples()
{
	awk -v out="$dir/example" '
		/^\.\. code-block:: c$/ { n++; inside = 1; next }
		/^[^ \t]/ { inside = 0 }
		inside { print > (out n ".c") }
		END { print n + 0 " examples" }' "$KERNEL_SRC/$page"
	for source in "$dir"/example*.c; do
		gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -c -o /dev/null \
			"$source" 2>&1
	done
}

if [ "${1-}" = --kernel ]; then
	kver=$2
	for part in comments build_page in_index examples; do
		$part > "$3/$part"
	done
	exit 0
fi

# ---- the kernels -------------------------------------------------------------

# check NAME EXPECTED PART: what a part has said matches.
check()
{
	expect_match "$kver: $1" "$2" "$(cat "$dir/$kver/$3")"
}

if ! command -v sphinx-build > /dev/null; then
	skip "documentation" "sphinx-build is not installed"
	finish
fi
for kver in $(kernels "$@"); do
	mkdir "$dir/$kver"
	expect_success "$kver: all parts are looked at" tools/kernel with "$kver" "$self" \
		--kernel "$kver" "$dir/$kver" || continue
	check "kernel-doc finds no fault in comments" '[1-9][0-9]* files' comments
	check "the page builds without a warning, but for the one planted" \
		'index.rst:1: WARNING: Inline emphasis start-string without end-string.' \
		build_page
	check "the page is in the index" 1 in_index
	check "the examples compile" '[1-9][0-9]* examples' examples
done
finish
