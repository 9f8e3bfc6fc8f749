# SPDX-License-Identifier: MIT
set title 'An add, by threads on a CPU each'
set xlabel 'threads'
set ylabel 'millions a second, all together'
set logscale y
set xtics 1
set xrange [0.8:*]
set style data linespoints
plot for [i = 2:9] csv using 1:i title columnheader
