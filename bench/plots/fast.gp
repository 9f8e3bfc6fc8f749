# SPDX-License-Identifier: MIT
set title 'Operations in one thread'
set ylabel 'ns for an operation'
set logscale y 2
set style data histograms
set style histogram clustered gap 2
set xtics rotate by -35 noenhanced
plot for [i = 2:8] csv every ::0::15 using i:xtic(1) title columnheader
