#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The probes: the libraries have those that the manual page names, with as many arguments,
# and a debugger that stops at them finds there what the page says. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

page=man/rseq_op_sites.3

# "NAME ARGUMENTS" for each probe of the page: items ".It Fn NAME arguments..."
documented()
{
	sed -n '/^\.Ss Probes/,/^\.S[hs] [^P]/ s/^\.It Fn //p' "$page" |
		awk '{ print $1, NF - 1 }' | sort
}

# The same of a file; an argument is written SIZE@WHERE.
noted()
{
	readelf -n "$1" 2> /dev/null | awk '
		$1 == "Provider:" { ours = $2 == "rseq_op" }
		$1 == "Name:" { name = $2 }
		$1 == "Arguments:" && ours { print name, gsub(/@/, "") }' | sort -u
}

documented > "$dir/documented"
expect_success "the page documents probes" test -s "$dir/documented"

cat > "$dir/program.c" <<'END'
#include <rseq_op/rseq_op.h>
static intptr_t word[2];
int main(void)
{
	const struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(word[0]),
		.u.arithmetic_op = { .p = (uintptr_t)word, .count = 1 } };
	const struct cpu_op bad = { .op = -1 }, vector[] = { add, bad };
	int ret = 0;

	ret |= rseq_op_addv(&word[0], 1, 0);
	ret |= rseq_op_cmpeqv_storev(&word[1], 5, 6, 0) != 1;
	ret |= rseq_op_orv_cid(&word[1], 1, 0);
	ret |= rseq_op(vector, 2, 0, 0) != -22;
	return ret;
}
END
build=(gcc -g -O2 -fno-pie -no-pie -Iinclude -o)
expect_success "program with the static library" "${build[@]}" "$dir/static" "$dir/program.c" \
	build/librseq_op.a -pthread
expect_success "program with the shared library" "${build[@]}" "$dir/shared" "$dir/program.c" \
	-Lbuild -lrseq_op
for file in build/librseq_op.so "$dir/static"; do
	noted "$file" > "$dir/noted"
	expect_same "${file##*/}: probes and arguments" "$dir/documented" "$dir/noted"
done

# Reasons: 4 is forced, 5 vector.
cat > "$dir/expected" <<'END'
backend line 10 index 0 by 0 reason 4
done line 10 index 0 by 0 result 0
backend line 11 index 0 by 0 reason 4
done line 11 index 0 by 0 result 1
backend line 12 index 0 by 1 reason 4
done line 12 index 0 by 1 result 0
backend line 13 index 0 by 0 reason 5
done line 13 index 0 by 0 result -22
END
cat > "$dir/stops" <<'END'
set pagination off
set disable-randomization off
set environment RSEQ_OP_FORCE_FALLBACK=1
set environment LD_LIBRARY_PATH=build
break main
run
delete
break -probe-stap rseq_op:backend
commands
silent
printf "STOP %#lx backend ", $_probe_arg0
printf "index %d by %d reason %d\n", $_probe_arg1, $_probe_arg2, $_probe_arg3
continue
end
break -probe-stap rseq_op:done
commands
silent
printf "STOP %#lx done ", $_probe_arg0
printf "index %d by %d result %d\n", $_probe_arg1, $_probe_arg2, $_probe_arg3
continue
end
continue
END

# The same, with the line of the site.
stops()
{
	local program=$1 stop site probe rest

	timeout 60 gdb -nx -batch -x "$2" "$program" < /dev/null > "$dir/log" 2>&1
	sed -n 's/^STOP //p' "$dir/log" |
		while read -r site probe rest; do
			echo "$probe line $(addr2line -i -e "$program" "$site" |
				sed -nE 's/.*program\.c:([0-9]+).*/\1/p') $rest"
		done
}

context() { [ ! -s "$dir/log" ] || tail -n 20 "$dir/log"; }

for program in static shared; do
	stops "$dir/$program" "$dir/stops" > "$dir/stopped"
	expect_same "$program: at each probe, its arguments" "$dir/expected" "$dir/stopped"
	expect "$program: goes on to its end" 1 "$(grep -c 'exited normally' "$dir/log")"
done

# Who stops in a sequence for a debugger is aborted; the next attempt, in the library, is not.
# By default gdb runs the instruction elsewhere, where the kernel sees no sequence to abort.
mkdir "$dir/abort"
cat > "$dir/abort/program.c" <<'END'
#include <rseq_op/rseq_op.h>
int main(void)
{
	static intptr_t word;
	int ret = rseq_op_addv(&word, 1, rseq_op_current_cpu());

	return ret || word != 1;
}
END
expect_success "program that aborts" "${build[@]}" "$dir/aborts" "$dir/abort/program.c" \
	build/librseq_op.a -pthread
descriptor=0x$(readelf -SW "$dir/aborts" | awk '{ sub(/.*\]/, "") } $1 == "__rseq_cs" { print $3 }')
cat > "$dir/abort/stops" <<END
set displaced-stepping off
break *(*(unsigned long *)($descriptor + 8))
commands
silent
continue
end
break -probe-stap rseq_op:aborted
commands
silent
printf "STOP %#lx aborted by %d\n", \$_probe_arg0, \$_probe_arg2
continue
end
run
END
expect "in a sequence that stops: aborted, once" "aborted line 5 by 0" \
	"$(stops "$dir/aborts" "$dir/abort/stops")"
expect "in a sequence that stops: goes on to its end" 1 \
	"$(grep -c 'exited normally' "$dir/log")"

# Where sys/sdt.h is not found, as by a compiler for 32 bits here.
if gcc -m32 -E -include sys/sdt.h -xc /dev/null > /dev/null 2>&1; then
	skip "without sys/sdt.h" "gcc -m32 finds it"
else
	expect_success "without sys/sdt.h: builds" gcc -m32 -O2 -std=gnu11 -D_GNU_SOURCE -Wall \
		-Wextra -Werror -Iinclude -Ilib -c -o "$dir/slow.o" lib/slow.c
	expect "without sys/sdt.h: no probes" "" "$(noted "$dir/slow.o")"
fi
finish
