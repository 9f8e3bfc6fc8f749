#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The layers of the library, as doc/design.md lists them: each file is in one, uses no file of a higher
# one, and no files use each other in a circle. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# "LAYER FILE", from the list, whose lines may be continued.
sed -n '/^    5 operations/,/^$/p' doc/design.md | awk '
	/^    [1-5] / { layer = $1; first = 3 }
	!/^    [1-5] / { first = 1 }
	{ for (i = first; i <= NF; i++) print layer, $i }' | sort > "$dir/listed"
printf '%s\n' lib/*.c | sed 's|lib/||; s|\.c$||' | sort > "$dir/files"

# "SYMBOL FILE" for what is defined, and for what is used.
while read -r file; do
	nm "build/lib/$file.o" | awk -v file="$file" '$1 == "U" { print $2, file }' >> "$dir/used"
	nm "build/lib/$file.o" | awk -v file="$file" '
		NF == 3 && $2 ~ /[TDBRCVW]/ { print $3, file }' >> "$dir/defined"
done < "$dir/files"
# "USER USED"
join <(sort "$dir/used") <(sort "$dir/defined") | awk '$2 != $3 { print $2, $3 }' | sort -u > "$dir/uses"

expect_same "each file is in one layer" "$dir/files" <(awk '{ print $2 }' "$dir/listed" | sort)
expect "some files use others" yes "$([ "$(wc -l < "$dir/uses")" -gt 50 ] && echo yes)"
expect "no file uses one of a higher layer" "" "$(awk '
	NR == FNR { layer[$2] = $1; next }
	layer[$1] < layer[$2] { print $1, "uses", $2 }' "$dir/listed" "$dir/uses")"
expect "no files use each other in a circle" "" "$(tsort "$dir/uses" 2>&1 > /dev/null)"
finish
