# SPDX-License-Identifier: MIT
set title 'A vector of one add, by callers on a CPU each'
set xlabel 'callers'
set ylabel 'instructions of all CPUs for a vector'
set logscale x 2
set logscale y
set style data linespoints
plot for [i = 2:3] csv using 1:i title columnheader
