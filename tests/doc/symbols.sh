#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One set of names: the functions that the headers document, the symbol map, what the
# libraries define, and the manual page.
. "$(dirname "$0")/../common/tap.bash"

headers=(include/rseq_op/{rseq_op,sites,pool,counter,lock,stack,buffer}.h)
typed=include/rseq_op/typed.h
map=lib/librseq_op.map
pages=(man/rseq_op.3 man/rseq_op_sites.3 man/rseq_op_pool.3 man/rseq_op_structures.3)

# Declarations of the header: "public|internal|inline NAME". Public is what has a
# comment "name() - ..." before it; internal, what follows a comment that says "not
# an interface", up to the next comment. The rest is inline and needs neither.
declarations()
{
	awk '
	/^\/\*/ { documents = ""; internal = 0; comment = 1 }
	comment && /^ \* rseq_op[a-z0-9_]*\(\) - / {
		documents = $2
		sub(/\(.*/, "", documents)
	}
	comment && /not an interface/ { internal = 1 }
	/\*\/$/ { comment = 0; next }
	comment { next }
	/^extern .*;/ {
		name = $0
		sub(/;.*/, "", name)
		sub(/\[.*/, "", name)
		sub(/.*[ *]/, "", name)
		print internal ? "internal" : "unexplained", name
		next
	}
	/^[a-z].*rseq_op[a-z0-9_]*\(/ {
		name = $0
		sub(/\(.*/, "", name)
		sub(/.*[ *]/, "", name)
		if (name == documents)
			print "public", name
		else if (internal)
			print "internal", name
		else if (/^static inline/)
			print "inline", name
		else
			print "unexplained", name
	}' "${headers[@]}"
}

# Names that the header defines itself: no symbols of the library.
inlines() { sed -n 's/^static inline .*[ *]\(rseq_op[a-z0-9_]*\)(.*/\1/p' "${headers[@]}" | sort; }

# Of the template: operations that it documents, and those that it defines.
typed_documented() { sed -n 's/^ \* rseq_op_\([a-z0-9_]*\)() - .*/\1/p' "$typed" | sort; }
typed_defined()
{
	sed -n 's/^static inline int RSEQ_OP_NAME(\([a-z0-9_]*\)).*/\1/p' "$typed" |
		grep -v '^seq_' | sort
}

# Every function of a kind, in all variants, as the compiler sees them.
expanded() { cc -E -P -Iinclude -xc "${headers[0]}" | grep -oE "\brseq_op_$1[a-z0-9_]+ *\(" | tr -d ' (' | sort -u; }

defined() { awk '$2 != "U" && $2 != "w" && $2 != "A" && NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort; }

# Where libc does not define __rseq_offset, the library defines rseq_op_offset.
declarations | grep -vE ' rseq_op_offset$' > "$dir/declarations"
of() { awk -v kind="$1" '$1 == kind { print $2 }' "$dir/declarations" | sort; }

typed_documented > "$dir/typed_documented"
typed_defined > "$dir/typed_defined"
{ of public; sed 's/^/rseq_op_/' "$dir/typed_documented"; } | sort > "$dir/public"
{ inlines; sed 's/^/rseq_op_/' "$dir/typed_defined"; } | sort > "$dir/inline"
comm -23 "$dir/public" "$dir/inline" > "$dir/public_symbols"
of internal > "$dir/named_internal"
comm -23 "$dir/named_internal" "$dir/inline" > "$dir/internal"
sort "$dir/public_symbols" "$dir/internal" > "$dir/symbols"
sed -n '/global:/,/local:/ s/^\t\(rseq_op[a-z0-9_]*[*]*\);$/\1/p' "$map" | grep -vx rseq_op_offset | sort > "$dir/map"
nm -D build/librseq_op.so | defined > "$dir/shared"
nm -g build/librseq_op.a | defined > "$dir/static"
sed -n '/^\.Sh NAME/,/^\.Nd/ s/^\.Nm \([a-z0-9_]*\).*/\1/p' "${pages[@]}" |
	grep -vx rseq_op_ptr | sort > "$dir/page_name"
sed -n 's/^\.Fo //p' "${pages[@]}" | sort > "$dir/page_synopsis"

expect_success "the header declares functions" test -s "$dir/public"
expect "each is documented, inline, or said to be no interface" "" "$(of unexplained)"
expect_same "the template defines what it documents" "$dir/typed_documented" "$dir/typed_defined"
expect_same "header and symbol map" "$dir/symbols" "$dir/map"
expect_same "headers and shared library" "$dir/symbols" "$dir/shared"
# A library that it needs might make system calls when it is loaded.
expect "the shared library needs the C library alone" libc.so.6 \
	"$(readelf -d build/librseq_op.so | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux')"
expect_same "headers and static library" "$dir/symbols" "$dir/static"
expect "of each typed operation there are eight variants, or four of those with pointers" "" \
	"$(expanded '' | grep -vE '^rseq_op_seq_' |
		sed -nE 's/^rseq_op_(.*[a-z]v|cmpnev_storeoffp_load)(32)?(_release)?(_cid)?$/\1/p' |
		sort | uniq -c | awk '$1 != ($2 ~ /^(cmpnev_|offset_)/ ? 4 : 8)')"
expect "the static library defines no global symbol but rseq_op*" "" \
	"$(grep -v '^rseq_op' "$dir/static")"
expect_same "header and NAME of the manual page" "$dir/public" "$dir/page_name"
expect_same "header and SYNOPSIS of the manual page" "$dir/public" "$dir/page_synopsis"
expect "the page documents no name that is no interface" "" \
	"$(grep -owf "$dir/named_internal" "${pages[@]}" | sort -u)"

# What else the header gives a caller: types, constants, counters, the environment.
missing=
for name in $(grep -ohE '^	RSEQ_OP_BACKEND_[A-Z]+' "${headers[@]}") \
	    $(sed -n '/^struct rseq_op_stats {/,/^}/ s/^\tuint64_t \([a-z]*\);/\1/p' "${headers[@]}") \
	    $(grep -ohE '"RSEQ_OP_[A-Z_]+"' lib/*.c | tr -d '"'); do
	grep -qE "^\.(It )?(Dv|Fa|Ev|It Fa) $name\$" "${pages[@]}" || missing+=" $name"
done
expect "backends, counters and environment variables are on the page" "" "$missing"

# The types of the synopsis are those of the header.
{
	printf '#include <%s>\n' "${headers[@]#include/}"
	awk '
	/^\.Sh/ { on = $2 == "SYNOPSIS" }
	!on { next }
	/^\.Ft/ { type = $0; sub(/^\.Ft /, "", type); gsub(/"/, "", type) }
	/^\.Fo/ { name = $2; args = "" }
	/^\.Fa/ { a = $0; sub(/^\.Fa /, "", a); gsub(/"/, "", a)
		  args = args (args == "" ? "" : ", ") a }
	/^\.Fc/ { n++; printf "%s (*const check_%d)(%s) = %s;\n", type, n, args, name
		  printf "int use_%d(void); int use_%d(void) { return !check_%d; }\n", n, n, n }
	' "${pages[@]}"
} > "$dir/synopsis.c"
expect_success "the types in SYNOPSIS are those of the header" \
	cc -Wall -Wextra -Wno-address -Werror -Iinclude -c -o "$dir/synopsis.o" "$dir/synopsis.c"
finish
