# SPDX-License-Identifier: MIT
#
# For the tests of models: "model" is the file.
command -v spin > /dev/null || { fail "spin is installed"; finish; }

# verify OPTION...: "none", or what went wrong in the end.
verify()
{
	(
		cd "$dir" && rm -f pan* ./*.trail &&
			spin -a "$@" "$model" > log 2>&1 &&
			cc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c >> log 2>&1 &&
			./pan -m1000000 > result 2>&1 || { cat log; exit; }
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
	)
}
