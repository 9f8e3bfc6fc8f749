# SPDX-License-Identifier: MIT
#
# For the tests of models: "model" is the file.
command -v spin > /dev/null || { fail "spin is installed"; finish; }

# verify OPTION...: in the current folder; prints "none", or what went wrong in the end.
verify()
{
	spin -a "$@" "$model" > log 2>&1 &&
		cc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c >> log 2>&1 &&
		./pan -m1000000 > result 2>&1 || { cat log; return; }
	if grep -q 'max search depth too small\|out of memory\|aborted' result; then
		cat result
	elif grep -q '^pan.*assertion violated' result; then
		echo "assertion violated"
	elif grep -q '^pan.*invalid end state' result; then
		echo "invalid end state"
	elif grep -q 'errors: 0' result; then
		echo "none"
	else
		cat result
	fi
}

names=()
verdicts=()

# verdict VERDICT NAME OPTION...: begin to verify, beside others. Each has a folder of its own.
verdict()
{
	local folder=$dir/${#names[@]}

	verdicts+=("$1")
	names+=("$2")
	shift 2
	mkdir "$folder"
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	(cd "$folder" && verify "$@" > verdict) &
}

# Wait for all of them, and report them in their order.
finish_verdicts()
{
	local i

	wait
	for i in "${!names[@]}"; do
		expect "${names[i]}" "${verdicts[i]}" "$(cat "$dir/$i/verdict")"
	done
	finish
}
