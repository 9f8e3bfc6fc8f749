# SPDX-License-Identifier: MIT
set title 'An add, by threads on a CPU each'
set xlabel 'threads'
set ylabel 'millions a second, all together'
set logscale y
set xtics 1
set xrange [0.8:*]
set style data linespoints
plot for [i = 3:10] csv using (strcol(1) eq 'addv' ? $2 : NaN):i title columnheader
