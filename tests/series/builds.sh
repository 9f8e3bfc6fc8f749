#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the series add and touch compiles in every configuration of a matrix, and
# nothing is said of the files that they add: by W=1 everywhere, by sparse on x86. And
# entry 600 of each architecture's table is cpu_opv. Prints TAP.
#
# usage: tests/series/builds.sh [--short | --full] [KERNEL...]	(default: all)
#	--short: one configuration for each compiler and architecture
#	--full: more flavours and architectures
#
# Only the objects of the files that the series add or touch are built, with what the
# kernel's makefiles need for them, and never a whole kernel. Object files are kept in
# the cache of tools/kernel, and so is a stamp for each configuration that has passed,
# named after all that it depends on.
. "$(dirname "$0")/../common/tap.bash"

self=tests/series/builds.sh

# Group: what shares a folder for object files, and a compiler.
groups=(gcc clang i386 arm64 arm riscv)
preemptions=(NONE FULL DYNAMIC)
declare -A preemption=(
	[NONE]="CONFIG_PREEMPT_NONE=y"
	[FULL]="CONFIG_PREEMPT=y;# CONFIG_PREEMPT_DYNAMIC is not set"
	[DYNAMIC]="CONFIG_PREEMPT=y;CONFIG_PREEMPT_DYNAMIC=y"
)
declare -A flavour_of=([gcc]=debug [clang]=perf)
declare -A short=([gcc]="SMP FULL" [clang]="UP NONE")
declare -A smp=([SMP]="CONFIG_SMP=y" [UP]="# CONFIG_SMP is not set")
common="CONFIG_EXPERT=y;CONFIG_MMU=y;CONFIG_RSEQ=y;CONFIG_CPU_OPV=y;CONFIG_MEMBARRIER=y"
lpae="CONFIG_ARCH_MULTIPLATFORM=y;CONFIG_ARCH_MULTI_V7=y;CONFIG_ARM_LPAE=y;CONFIG_AEABI=y"
declare -A arch_settings=(
	[i386]="$common;CONFIG_SMP=y;CONFIG_HIGHMEM64G=y;CONFIG_HIGHPTE=y;CONFIG_X86_PAE=y"
	[i386-UP]="$common"
	[arm64]="$common;CONFIG_COMPAT=y"
	[arm]="$common;$lpae;CONFIG_HIGHMEM=y;CONFIG_SMP=y"
	[arm-UP]="$common;$lpae;CONFIG_HIGHMEM=y"
	[riscv]="$common;CONFIG_64BIT=y;CONFIG_SMP=y"
	[riscv-UP]="$common;CONFIG_64BIT=y"
	[riscv-32]="$common;CONFIG_ARCH_RV32I=y;CONFIG_32BIT=y;CONFIG_SMP=y"
)
declare -A tables=(
	[x86_64]="arch/x86/entry/syscall_64.o arch/x86/entry/syscall_32.o"
	[i386]="arch/x86/entry/syscall_32.o"
	[arm64]="arch/arm64/kernel/sys.o arch/arm64/kernel/sys32.o"
	[arm]="arch/arm/kernel/entry-common.o"
	[riscv]="arch/riscv/kernel/syscall_table.o"
)

# ---- one kernel, under "tools/kernel with" -----------------------------------

kernel_make()
{
	local -a compiler=(LLVM=1)

	[ "$group" != gcc ] || compiler=()
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$KERNEL_SRC" O="$obj" \
		ARCH="$arch" "${compiler[@]}" "$@"
}

added_files()
{
	git -C "$KERNEL_SRC" diff --name-only --diff-filter=A base HEAD
}

# The objects of what the series adds or touches that every architecture builds.
objects()
{
	git -C "$KERNEL_SRC" diff --name-only base HEAD |
		sed -nE 's,^((kernel|mm)/.*)\.c$,\1.o,p'
}

inputs()
{
	git -C "$KERNEL_SRC" rev-parse 'HEAD^{tree}'
	gcc --version
	clang --version
	sparse --version
	cat "$self" "$@"
}

# Settings given that are not in .config.
dropped()
{
	grep -v '^#' "$1" | grep -vxF -f "$obj/.config" | sed 's/^/not in .config: /'
	grep '^#' "$1" | sed -E 's/^# (\w+) .*/^\1=/' | grep -f - "$obj/.config"
}

# Entry 600: where the table's relocations say so, else that it is referred to. (On i386
# the object's code refers to the call as well.)
wrong_table()
{
	local table=$1 start

	start=$(llvm-nm -S "$obj/$table" |
		sed -nE 's/^([0-9a-f]+) [0-9a-f]+ [A-Za-z] (compat_)?sys_call_table$/\1/p')
	if [ "$arch" = x86_64 ]; then
		llvm-nm "$obj/$table" | grep -q ' U __[a-z0-9]*_sys_cpu_opv$' ||
			echo "$table: does not refer to cpu_opv"
		return
	fi
	llvm-objdump -r "$obj/$table" |
		awk -v at=$((16#$start + 600 * bits / 8)) '
		/sys_cpu_opv$/ { print $1 }
		END { printf "want %x\n", at }' |
		awk -v table="$table" '
		/^want/ { want = $2; next } { sub(/^0+/, ""); got = got " " $0 }
		END { if (!index(got " ", " " want " "))
			print table ": cpu_opv stands at" got ", entry 600 is at " want }'
}

# compile TARGET...: with the settings $obj/row. Prints what is wrong.
compile()
{
	local table

	kernel_make KCONFIG_ALLCONFIG="$obj/row" allnoconfig > "$obj/log" 2>&1 || {
		tail -n 20 "$obj/log"
		return
	}
	dropped "$obj/must"
	# Old objects would be taken as they are, without their warnings.
	(cd "$obj" && rm -f "$@")
	kernel_make W=1 "${checker[@]}" "$@" > "$obj/log" 2>&1 ||
		tail -n 20 "$obj/log"
	added_files | grep -F -f - "$obj/log"
	for table in ${tables[$arch]}; do
		[ ! -e "$obj/$table" ] || wrong_table "$table"
	done
}

added_selftests()
{
	added_files | sed -nE 's,^tools/testing/selftests/([^/]+)/Makefile$,\1,p'
}

# compile_selftests NAME...: with the headers of the series. Prints whatever is said.
compile_selftests()
{
	local name

	for name; do
		rm -rf "$obj/selftests/$name"
		mkdir -p "$obj/selftests/$name"
		kernel_make headers > "$obj/log" 2>&1 || tail -n 20 "$obj/log"
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s \
			-C "$KERNEL_SRC/tools/testing/selftests/$name" \
			OUTPUT="$obj/selftests/$name" CC="$group" \
			KHDR_INCLUDES="-isystem $obj/usr/include" > "$obj/log" 2>&1 ||
			echo "make: status $?"
		grep -v '^  [A-Z]' "$obj/log"
	done
}

# row NAME COMMAND...: with the settings $obj/row, of which $obj/must matter.
row()
{
	local name=$1 stamp result
	shift

	nr=$((nr + 1))
	result=$results/$group-$(printf %03d $nr)
	stamp=$KERNEL_OBJ/passed-$(echo "$group $*" | inputs - "$obj/row" |
		sha256sum | cut -c 1-16)
	echo "$kver $group $name" > "$result"
	[ ! -e "$stamp" ] || return 0
	"$@" >> "$result"
	[ "$(wc -l < "$result")" -gt 1 ] || : > "$stamp"
}

x86_rows()
{
	local flavour cpus model flavours=("${flavour_of[$group]}")

	[ "$mode" != --full ] || flavours=(perf debug kasan trace)
	for flavour in "${flavours[@]}"; do
		for cpus in SMP UP; do
			for model in "${preemptions[@]}"; do
				[ "$mode" != --short ] || [ "$cpus $model" = "${short[$group]}" ] || continue
				tr ';' '\n' <<< "${smp[$cpus]};${preemption[$model]};CONFIG_CPU_OPV=y" \
					> "$obj/must"
				tools/kernel config "$kver" "$flavour" |
					grep -vE 'CONFIG_(SMP|PREEMPT\w*)\b' |
					cat - "$obj/must" > "$obj/row"
				row "$cpus PREEMPT_$model $flavour" compile "${targets[@]}"
			done
		done
	done
}

arch_rows()
{
	local name names=("$group")

	[ "$mode" != --full ] || for name in UP 32; do
		[ ! -v "arch_settings[$group-$name]" ] || names+=("$group-$name")
	done
	for name in "${names[@]}"; do
		bits=64
		[[ $name != arm && $name != arm-* && $name != i386* && $name != *-32 ]] || bits=32
		tr ';' '\n' <<< "${arch_settings[$name]}" > "$obj/row"
		cp "$obj/row" "$obj/must"
		# This one has no walk of page tables without a lock: the call is ENOSYS.
		if [ "$kver-$group" = 6.1-riscv ]; then
			sed -i 's/^CONFIG_CPU_OPV=y$/# CONFIG_CPU_OPV is not set/' "$obj/must"
			targets=("${targets[@]/kernel\/sched\/cpu_opv.o/kernel/sys_ni.o}")
		fi
		row "$name" compile "${targets[@]}"
	done
}

run_group()
{
	local targets tests

	obj=$KERNEL_OBJ/$group
	arch=$group
	checker=()
	nr=0
	mkdir -p "$obj"
	case $group in
	gcc | clang)
		arch=x86_64
		checker=(C=1)
		;;
	esac
	mapfile -t targets < <(objects; tr ' ' '\n' <<< "${tables[$arch]}")
	if [ "$arch" = x86_64 ]; then
		x86_rows
		mapfile -t tests < <(added_selftests)
		[ ${#tests[@]} -eq 0 ] || row selftests compile_selftests "${tests[@]}"
	else
		arch_rows
	fi
}

# A group at a time on each processor.
run_groups()
{
	for group in "${groups[@]}"; do
		while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
			wait -n
		done
		run_group &
	done
	wait
}

if [ "${1-}" = --kernel ]; then
	kver=$2
	mode=$3
	results=$4
	run_groups
	exit 0
fi

# ---- the kernels -------------------------------------------------------------

mode=
case ${1-} in
--short | --full)	mode=$1; shift ;;
esac
for kver in $(kernels "$@"); do
	mkdir "$dir/$kver"
	expect_success "$kver: the groups ran to their end" tools/kernel with "$kver" \
		"$self" --kernel "$kver" "$mode" "$dir/$kver" || continue
	for result in "$dir/$kver"/*; do
		expect "$(head -n 1 "$result")" "" "$(tail -n +2 "$result")"
	done
done
finish
