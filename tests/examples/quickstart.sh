#!/usr/bin/env bash
# quickstart: pre-trains, fine-tunes in three ways, measures on all shifts, writes its report.
. "$(dirname "$0")/program_test.sh"

run quickstart --pretrain-steps 12 --steps 4 --train 64 --test 8 --report report.html
has out.txt '^Top-1 accuracy in %$'
has out.txt '^method +trained +photos \(ID\) +all shifts +free colours .* chalk$'
has out.txt '^zero-shot +0( +[0-9.]+){9}$'
for method in 'full fine-tuning' WiSE-FT R-Adapter; do has out.txt "^$method +[1-9][0-9]+( +[0-9.]+){9}$"; done
has out.txt '^report: report.html   total time: [0-9]+ s$'
has err.txt '^pre-training 100% 12/12 .* loss [0-9.]+$'
has err.txt '^R-Adapter 100% 4/4 '
# Three pictures of each of seven shifts.
is_report report.html 5 21 zero-shot 'full fine-tuning' WiSE-FT R-Adapter
has report.html 'Robust = radapt::recipe::r_adapter'

# Several seeds: every figure with its spread, and as many pictures as predictions where a test set has fewer than three.
run quickstart --seeds 2 --pretrain-steps 2 --steps 2 --train 8 --test 2 --report seeds.html
has out.txt 'mean ± standard deviation over 2 seeds'
has out.txt '^R-Adapter +[1-9][0-9]+( +[0-9.]+ ± [0-9.]+){9}$'
is_report seeds.html 5 14 zero-shot R-Adapter
[ "$(grep -o 'class="tile"' seeds.html | wc -l)" = 14 ] || die "seeds.html should show two pictures of seven shifts"

refuses "quickstart: .*--steps.*0 not in range.*See quickstart --help" quickstart --steps 0
refuses "writing 'nowhere/report.html': expected a folder 'nowhere', got nothing of that name" quickstart --report nowhere/report.html
[ ! -s out.txt ] || die "quickstart should look at where its report goes before it begins"
