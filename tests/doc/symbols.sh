#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One set of names: the functions that the header documents, the symbol map, what the
# libraries define, and the manual page.
. "$(dirname "$0")/../common/tap.bash"

header=include/rseq_op/rseq_op.h
map=lib/librseq_op.map
page=man/rseq_op.3

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
	/^[a-z].*rseq_op[a-z0-9_]*(\(|\[.*;)/ {
		name = $0
		sub(/[\[(].*/, "", name)
		sub(/.*[ *]/, "", name)
		if (name == documents)
			print "public", name
		else if (internal)
			print "internal", name
		else if (/^static inline/)
			print "inline", name
		else
			print "unexplained", name
	}' "$header"
}

# Names that the header defines itself: no symbols of the library.
inlines() { sed -n 's/^static inline .*[ *]\(rseq_op[a-z0-9_]*\)(.*/\1/p' "$header" | sort; }

defined() { awk '$2 != "U" && $2 != "w" && $2 != "A" && NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort; }

declarations > "$dir/declarations"
of() { awk -v kind="$1" '$1 == kind { print $2 }' "$dir/declarations" | sort; }

of public > "$dir/public"
inlines > "$dir/inline"
comm -23 "$dir/public" "$dir/inline" > "$dir/public_symbols"
# ops.h as a whole is no interface; its variable is the one symbol in it.
{ of internal; sed -n 's/^extern .*[ *]\(rseq_op[a-z0-9_]*\) .*/\1/p' include/rseq_op/ops.h; } |
	sort > "$dir/named_internal"
comm -23 "$dir/named_internal" "$dir/inline" > "$dir/internal"
sort "$dir/public_symbols" "$dir/internal" > "$dir/symbols"
sed -n '/global:/,/local:/ s/^\t\(rseq_op[a-z0-9_]*\);$/\1/p' "$map" | sort > "$dir/map"
nm -D build/librseq_op.so | defined > "$dir/shared"
nm -g build/librseq_op.a | defined > "$dir/static"
sed -n '/^\.Sh NAME/,/^\.Nd/ s/^\.Nm \([a-z0-9_]*\).*/\1/p' "$page" | sort > "$dir/page_name"
sed -n 's/^\.Fo //p' "$page" | sort > "$dir/page_synopsis"

expect_success "the header declares functions" test -s "$dir/public"
expect "each is documented, inline, or said to be no interface" "" "$(of unexplained)"
expect_success "ops.h says that it is no interface" grep -qi 'not an interface' include/rseq_op/ops.h
expect_same "header and symbol map" "$dir/symbols" "$dir/map"
expect_same "symbol map and shared library" "$dir/map" "$dir/shared"
expect_same "symbol map and static library" "$dir/map" "$dir/static"
expect "the static library defines no global symbol but rseq_op*" "" \
	"$(grep -v '^rseq_op' "$dir/static")"
expect_same "header and NAME of the manual page" "$dir/public" "$dir/page_name"
expect_same "header and SYNOPSIS of the manual page" "$dir/public" "$dir/page_synopsis"
expect "the page documents no name that is no interface" "" \
	"$(grep -owf "$dir/named_internal" "$page" | sort -u)"

# What else the header gives a caller: types, constants, counters, the environment.
missing=
for name in $(grep -oE '^	RSEQ_OP_BACKEND_[A-Z]+' "$header") \
	    $(sed -n '/^struct rseq_op_stats {/,/^}/ s/^\tuint64_t \([a-z]*\);/\1/p' "$header") \
	    $(grep -ohE '"RSEQ_OP_[A-Z_]+"' lib/*.c | tr -d '"'); do
	grep -qE "^\.(It )?(Dv|Fa|Ev|It Fa) $name\$" "$page" || missing+=" $name"
done
expect "backends, counters and environment variables are on the page" "" "$missing"

# The types of the synopsis are those of the header.
{
	echo '#include <rseq_op/rseq_op.h>'
	awk '
	/^\.Sh/ { on = $2 == "SYNOPSIS" }
	!on { next }
	/^\.Ft/ { type = $0; sub(/^\.Ft /, "", type); gsub(/"/, "", type) }
	/^\.Fo/ { name = $2; args = "" }
	/^\.Fa/ { a = $0; sub(/^\.Fa /, "", a); gsub(/"/, "", a)
		  args = args (args == "" ? "" : ", ") a }
	/^\.Fc/ { n++; printf "%s (*const check_%d)(%s) = %s;\n", type, n, args, name
		  printf "int use_%d(void); int use_%d(void) { return !check_%d; }\n", n, n, n }
	' "$page"
} > "$dir/synopsis.c"
expect_success "the types in SYNOPSIS are those of the header" \
	cc -Wall -Wextra -Wno-address -Werror -Iinclude -c -o "$dir/synopsis.o" "$dir/synopsis.c"
finish
