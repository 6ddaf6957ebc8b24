#!/usr/bin/env bash
# robustness: all methods on domains of PACS under two seeds; a run that was stopped goes on; only some methods.
. "$(dirname "$0")/program_test.sh"
pacs=(--data "$shared/data/pacs" --id photo --ood sketch --limit 10 --batch 8 --pretrain-steps 2 --steps 1)
rates=(--full-lr 1e-4 --head-lr 1e-3 --adapter-lr 1e-2)
methods=(zero-shot 'linear probe' LP-FT 'full fine-tuning' WiSE-FT OSE VRF FLYP StarFT LoRA AdaptFormer R-Adapter 'R-Adapter, alpha 1'
  'R-Adapter \+ VRF' 'R-Adapter, InfoNCE' 'R-Adapter, no dropping' 'R-Adapter, no average')

run robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" "${rates[@]}" --seeds 1 --figure figure.svg
has out.txt '^method +trained +photo \(ID\) +all shifts +sketch$'
for method in "${methods[@]}"; do has out.txt "^$method +[0-9]+( +[0-9.]+){3}$"; done
count_is results.jsonl '"result":' 17
has results.jsonl '"result":"VRF".*"type":"vrf with a [0-9.]+, b [0-9.]+, \|V\| [0-9]+"'
has results.jsonl '"result":"R-Adapter".*"curve":\[.*"alpha":1.0'
is_report report.html 3 3 zero-shot LoRA 'R-Adapter, alpha 1'
is_chart figure.svg 'accuracy on photo \(ID\)' AdaptFormer

# What is there is not done again: the table is the same, and nothing is added. A line that was cut off is named.
cp out.txt first.txt
printf '{"study":"00' >>results.jsonl
run robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" "${rates[@]}" --seeds 1
has err.txt 'results.jsonl, line 18: no record of results, left out'
count_is results.jsonl '"result":' 17
grep '^R-Adapter' out.txt | diff - <(grep '^R-Adapter' first.txt) || die "the second run tells other results"

# Other settings are another study; without a vocabulary there are no spurious captions.
run robustness "${pacs[@]}" "${rates[@]}" --seeds 2 --methods 'zero-shot,LoRA' --results other.jsonl
has out.txt 'StarFT is left out'
has out.txt 'over 2 seeds'
count_is other.jsonl '"result":' 4

refuses "--methods.*expected any of 'zero-shot', 'linear probe'.*got 'WISE'" \
  robustness "${pacs[@]}" --methods WISE --results ../other.jsonl
refuses 'robustness: .*--seeds.*0 not in range' robustness "${pacs[@]}" --seeds 0
