#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make install into a folder with a blank in its name; a program that finds the library
# there in each way there is, and runs; make uninstall. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

root="$dir/the root"
libdir=/opt/x/lib64
where=(DESTDIR="$root" prefix=/opt/x libdir=$libdir)
consumer=$PWD/tests/install/consumer.c
export PKG_CONFIG_PATH="$root$libdir/pkgconfig"

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

# found_by_cmake TARGET
found_by_cmake()
{
	mkdir "$dir/$1"
	cat > "$dir/$1/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.13)
		project(consumer C)
		find_package(rseq_op 0.1 REQUIRED CONFIG)
		add_executable(consumer $consumer)
		target_link_libraries(consumer rseq_op::$1)
	END
	expect_success "CMake, $1: builds" eval "cmake -S '$dir/$1' -B '$dir/$1/build' \
		-Drseq_op_DIR='$root$libdir/cmake/rseq_op' && make -C '$dir/$1/build'" || return
	expect "CMake, $1: runs" 1000 "$("$dir/$1/build/consumer" 2>&1)"
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

# The library of another compiler or of other options, in a folder of its own.
library()
{
	expect_success "library: $*" make -s lib B="$dir/lib" "$@"
}

expect_success "install" make install "${where[@]}"
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
	"'$root$libdir/librseq_op.a'" -lnuma -pthread
program "C++17" c++ -std=c++17 -x c++ "$consumer" -x none "$(flags --cflags --libs)"
for cc in gcc clang; do
	program "$cc -flto" "$cc" -O2 -flto "$consumer" "$(flags --cflags --libs)"
	program "$cc -flto -static" "$cc" -O2 -flto -static "$consumer" \
		"$(flags --static --cflags --libs)"
	program "$cc -fno-pie" "$cc" -O2 -fno-pie -no-pie "$consumer" "$(flags --cflags --libs)"
	program "$cc --gc-sections" "$cc" -O2 -ffunction-sections -fdata-sections \
		-Wl,--gc-sections -static "$consumer" "$(flags --static --cflags --libs)"
	if [ "$(uname -m)" = x86_64 ]; then
		expect_match "$cc --gc-sections: the sequences are whole" "checked [1-9][0-9]*" \
			"$(perl tests/doc/sequences.pl "$dir/program" 2>&1)"
	fi
done
found_by_cmake rseq_op
found_by_cmake rseq_op_static
asked_of_cmake 0.1 1
asked_of_cmake 0.1.0 1
asked_of_cmake 0.2 0
asked_of_cmake 0.0.9 0
asked_of_cmake 1.0 0

for cc in gcc clang; do
	library CC="$cc" CFLAGS="-O2 -flto" &&
		program "library by $cc -flto, static" cc -Iinclude "$consumer" \
			"'$dir/lib/librseq_op.a'" -lnuma -pthread &&
		expect "library by $cc -flto: interface" \
			"$(nm -D --defined-only build/librseq_op.so | cut -d' ' -f3 | sort)" \
			"$(nm -D --defined-only "$dir/lib/librseq_op.so" | cut -d' ' -f3 | sort)"
	rm -rf "$dir/lib"
done

expect_success "uninstall" make uninstall "${where[@]}"
expect "uninstall leaves no file" "" "$(find "$root" -type f -o -type l)"
expect "but there had been some" yes "$([ "$(wc -l <<< "$before")" -gt 20 ] && echo yes)"
finish
