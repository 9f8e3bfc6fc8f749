# SPDX-License-Identifier: MIT
set title 'The system call, for a CPU that is'
set ylabel 'instructions'
set logscale y
set style data histograms
set style histogram clustered gap 2
set xtics rotate by -35 noenhanced
plot for [i = 2:6] csv using i:xtic(1) title columnheader
