# SPDX-License-Identifier: MIT
set title 'Slow paths, by backend'
set ylabel 'us'
set logscale y
set style data histograms
set style histogram clustered gap 2
set xtics rotate by -35 noenhanced
plot for [i = 2:5] csv using i:xtic(1) title columnheader
