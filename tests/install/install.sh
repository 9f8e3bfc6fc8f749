#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make install into a folder with a blank in its name; a program that finds the library
# there in each way there is, and runs; make uninstall. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

root="$dir/the root"
libdir=/opt/x/lib/$(gcc -print-multiarch)
where=(DESTDIR="$root" prefix=/opt/x libdir=$libdir)
consumer=$PWD/tests/install/consumer.c
export PKG_CONFIG_PATH="$root$libdir/pkgconfig"

sections=(-ffunction-sections -fdata-sections -Wl,--gc-sections)
strict=(-Wall -Wextra -Wpedantic -Werror)

# The folder of the installed library as the .pc file names it is below the root.
flags() { pkg-config "$@" rseq_op | sed "s|/opt/x|$root/opt/x|g; s|the root|the\\\\ root|g"; }

# program NAME COMPILER...: build, with what is left to the compiler, and run.
program()
{
	local name=$1
	shift

	expect_success "$name: builds" eval "$* -o '$dir/program'" || return
	expect "$name: runs" 1000 "$(LD_LIBRARY_PATH="$root$libdir" "$dir/program" 2>&1)"
}

# found_by_cmake TARGET PREFIX: where it is as CMake's user would say
found_by_cmake()
{
	rm -rf "${dir:?}/$1"
	mkdir "$dir/$1"
	cat > "$dir/$1/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.13)
		project(consumer C)
		find_package(rseq_op 0.1 REQUIRED CONFIG)
		add_executable(consumer $consumer)
		target_link_libraries(consumer rseq_op::$1)
	END
	expect_success "CMake, $1 in ${2#"$dir"}: builds" eval "cmake -S '$dir/$1' \
		-B '$dir/$1/build' -DCMAKE_PREFIX_PATH='$2' && make -C '$dir/$1/build'" || return
	expect "CMake, $1 in ${2#"$dir"}: runs" 1000 "$("$dir/$1/build/consumer" 2>&1)"
}

# asked_of_cmake VERSION 0|1: whether that version is found
asked_of_cmake()
{
	mkdir "$dir/refused"
	cat > "$dir/refused/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.13)
		project(consumer C)
		find_package(rseq_op $1 CONFIG)
		file(WRITE found "\${rseq_op_FOUND}")
	END
	cmake -S "$dir/refused" -B "$dir/refused/build" \
		-Drseq_op_DIR="$root$libdir/cmake/rseq_op" > /dev/null 2>&1
	expect "CMake, version $1: found is $2" "$2" "$(cat "$dir/refused/found")"
	rm -r "$dir/refused"
}

# optimised_by COMPILER: the library with -flto, in a folder of its own
optimised_by()
{
	local lib=$dir/lib name="library by $1 -flto"

	rm -rf "$lib"
	expect_success "$name" make -s lib B="$lib" CC="$1" CFLAGS="-O2 -flto" || return
	program "$name, static" "$1" -O2 -flto -Iinclude "$consumer" \
		"'$lib/librseq_op.a'" -pthread
	program "$name, shared" "$1" -O2 -flto -Iinclude "$consumer" \
		"'$lib/librseq_op.so'" -Wl,-rpath,"'$lib'"
	expect "$name: interface" \
		"$(nm -D --defined-only build/librseq_op.so | cut -d' ' -f3 | sort)" \
		"$(nm -D --defined-only "$lib/librseq_op.so" | cut -d' ' -f3 | sort)"
	whole "$name" "$lib/librseq_op.so"
}

# whole NAME FILE: each sequence has its descriptor, and what is said there is true.
whole()
{
	[ "$(uname -m)" != x86_64 ] ||
		expect_match "$1: the sequences are whole" "checked [1-9][0-9]*" \
			"$(perl tests/doc/sequences.pl "$2" 2>&1)"
}

# for_i386: the static library.
for_i386()
{
	local lib=$dir/i386 how

	expect_success "i386: library" make -s B="$lib" CC="gcc -m32" "$lib/librseq_op.a" || return
	for how in "" "-fno-pie -no-pie" "-static" "-static-pie -fpie" "${sections[*]}"; do
		program "i386 ${how:-by default}" gcc -m32 -O2 "$how" -Iinclude \
			"$consumer" "'$lib/librseq_op.a'"
	done
}

expect_success "install" make install "${where[@]}"
expect "ldconfig is for /, not for DESTDIR" "0, 1" "$(make -n install "${where[@]}" |
	grep -c ldconfig), $(make -n install DESTDIR= | grep -c ldconfig)"
before=$(cd "$root" && find . -type f -o -type l | sort)
expect "no file names the place it was built in" "" \
	"$(grep -rlF "$root" "$root" 2>/dev/null)"
expect_match "the soname" ".*soname: \[librseq_op\.so\.0\]" \
	"$(readelf -d "$root$libdir/librseq_op.so" | grep SONAME)"
expect "pkg-config: version" "$(sed -n 's/^VERSION.*= *//p' Makefile)" \
	"$(pkg-config --modversion rseq_op)"
program "pkg-config" cc "$consumer" "$(flags --cflags --libs)"
program "pkg-config --static" cc -static "$consumer" "$(flags --static --cflags --libs)"
program "static library, shared libc" cc "$consumer" "$(flags --cflags)" \
	"'$root$libdir/librseq_op.a'" -pthread
program "dlopen" cc "${strict[@]}" tests/install/dlopen.c "$(flags --cflags)"
for cc in gcc clang; do
	program "$cc, C11" "$cc" -std=c11 "${strict[@]}" "$consumer" "$(flags --cflags --libs)"
	program "$cc -flto" "$cc" -O2 -flto "$consumer" "$(flags --cflags --libs)"
	program "$cc -flto -static" "$cc" -O2 -flto -static "$consumer" \
		"$(flags --static --cflags --libs)"
	program "$cc -fno-pie" "$cc" -O2 -fno-pie -no-pie "$consumer" "$(flags --cflags --libs)"
	program "$cc -fno-pie, static library" "$cc" -O2 -fno-pie -no-pie "$consumer" \
		"$(flags --cflags)" "'$root$libdir/librseq_op.a'" -pthread
	program "$cc --gc-sections" "$cc" -O2 "${sections[@]}" "$consumer" "$(flags --cflags --libs)"
	whole "$cc --gc-sections" "$dir/program"
	program "$cc --gc-sections -static" "$cc" -O2 "${sections[@]}" -static "$consumer" \
		"$(flags --static --cflags --libs)"
	whole "$cc --gc-sections -static" "$dir/program"
done
program "g++, C++17" g++ -std=c++17 "${strict[@]}" -x c++ "$consumer" -x none \
	"$(flags --cflags --libs)"
program "clang++, C++17" clang++ -std=c++17 "${strict[@]}" -Wdeprecated-volatile -x c++ \
	"$consumer" -x none "$(flags --cflags --libs)"
for_i386
found_by_cmake rseq_op "$root/opt/x"
found_by_cmake rseq_op_static "$root/opt/x"
# As / and /usr, where /lib is a link to /usr/lib.
mkdir "$dir/merged"
ln -s "$root/opt/x/lib" "$dir/merged"
found_by_cmake rseq_op "$dir/merged"
asked_of_cmake 0.1 1
asked_of_cmake 0.1.0 1
asked_of_cmake 0.2 0
asked_of_cmake 0.0.9 0
asked_of_cmake 1.0 0

optimised_by gcc
optimised_by clang

expect_success "uninstall" make uninstall "${where[@]}"
expect "uninstall leaves no file, and no folder of ours" "" \
	"$(find "$root" ! -type d -o -name '*rseq*')"
expect "but there had been some" yes "$([ "$(wc -l <<< "$before")" -gt 20 ] && echo yes)"
finish
