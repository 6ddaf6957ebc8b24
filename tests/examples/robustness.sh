#!/usr/bin/env bash
# robustness: all methods on domains of PACS under two seeds; a run that was stopped goes on; only some methods.
. "$(dirname "$0")/program_test.sh"
pacs=(--data "$shared/data/pacs" --id photo --ood sketch --limit 10 --batch 8 --pretrain-steps 2 --steps 1)
rates=(--full-lr 1e-4 --head-lr 1e-3 --adapter-lr 1e-2)
methods=(zero-shot 'linear probe' LP-FT 'full fine-tuning' WiSE-FT OSE VRF FLYP StarFT LoRA AdaptFormer R-Adapter 'R-Adapter, alpha 1'
  'R-Adapter \+ VRF' 'R-Adapter, InfoNCE' 'R-Adapter, no dropping' 'R-Adapter, no average')

run robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" "${rates[@]}" --seeds 1 --figure figure.svg --checkpoints kept
[ ! -e kept ] || die "kept/ should be gone when all is written"
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

# The same models at two other tasks, from what the first run kept: nothing is trained again.
tasks=(--retrieval "$shared/data/flickr8k/dataset_flickr8k.json" --segmentation "$shared/data/coco128seg"
  --segmentation-labels "$shared/data/clip_vitb32_features/text_coco80_names.json" --task-limit 6)
run robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" "${rates[@]}" --seeds 1 --methods zero-shot,R-Adapter "${tasks[@]}" --report tasks.html
count_is results.jsonl '"result":' 17
has_not err.txt '^(measuring )?R-Adapter .*%'
has out.txt '^Retrieval: recall in % and median rank among 6 images and 30 captions$'
has out.txt '^Segmentation: Pixels of [1-6] images that have a label, in %$'
has out.txt "^zero-shot( +[0-9.]+){8}$"
has out.txt "^R-Adapter, alpha 1( +[0-9.]+){8}$"
for way in patches 'regions of the patches' 'regions of the truth'; do
  for model in zero-shot 'R-Adapter, alpha 1'; do has out.txt "^$model: $way( +[0-9.]+){3}$"; done
done
# Pictures: 3 of the shift, captions for 4 images, 3 images for 4 captions by each of at least two models, and 4 overlays.
is_report tasks.html 3 35 'zero-shot: patches' 'R-Adapter, alpha 1: regions of the truth'
has tasks.html '<h2>Retrieval: the same models on dataset_flickr8k.json</h2>'
has tasks.html '<h2>Segmentation: the same models on coco128seg</h2>'
has tasks.html 'class="(right|wrong)">. R-Adapter, alpha 1: '
# Without the adapters of the first run they are trained again, and no result is written twice.
rm results.r_adapter-*.safetensors
run robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" "${rates[@]}" --seeds 1 --methods zero-shot,R-Adapter "${tasks[@]}" --report again.html
has err.txt '^(measuring )?R-Adapter .*%'
count_is results.jsonl '"result":' 17
diff <(grep -o 'base64,[^"]*' tasks.html) <(grep -o 'base64,[^"]*' again.html) || die "the adapters that were trained again give other pictures"

# Other weights in the same folder are another study, and so are other pictures of the same names.
cp -r results.base-*/ base
from=("${pacs[@]}" "${rates[@]}" --seeds 1 --methods zero-shot --results from.jsonl --from base)
run robustness "${from[@]}"
run robustness "${from[@]}"
count_is from.jsonl '"result":' 1
printf '\1' | dd of=base/model.safetensors bs=1 seek=$(($(stat -c %s base/model.safetensors) - 40)) conv=notrunc status=none
run robustness "${from[@]}"
count_is from.jsonl '"result":' 2
mkdir -p pictures
cp -r --no-preserve=mode "$shared/data/pacs/photo" "$shared/data/pacs/sketch" pictures
run robustness --data pictures "${from[@]:2}"
count_is from.jsonl '"result":' 3
cp -f "$(find pictures/sketch -type f | sort | sed -n '$p')" "$(find pictures/sketch -type f | sort | sed -n 1p)"
run robustness --data pictures "${from[@]:2}"
count_is from.jsonl '"result":' 4

# Other settings are another study; without a vocabulary there are no spurious captions.
run robustness "${pacs[@]}" "${rates[@]}" --seeds 2 --methods 'zero-shot,LoRA' --results other.jsonl
has out.txt 'StarFT is left out'
has out.txt 'over 2 seeds'
count_is other.jsonl '"result":' 4

refuses "--methods.*expected any of 'zero-shot', 'linear probe'.*got 'WISE'" \
  robustness "${pacs[@]}" --methods WISE
# Names with a comma and with spaces; results that nobody measured are left out and made again.
sed -n '/"result":"zero-shot"/p' other.jsonl | sed 's/"shifts":\[[^]]*\]/"shifts":[]/' >edited.jsonl
run robustness "${pacs[@]}" "${rates[@]}" --seeds 1 --methods 'zero-shot, R-Adapter, alpha 1' --results edited.jsonl
has err.txt 'edited.jsonl, line 1: no record of results, left out'
has out.txt '^R-Adapter, alpha 1 '
refuses "the outputs: expected a file for each" robustness "${pacs[@]}" --results same --report same
echo '["cat"]' >names.json
refuses "names.json': expected no file, an empty one, or one of JSON lines" robustness "${pacs[@]}" --results "$work/names.json"
refuses 'robustness: .*--seeds.*0 not in range' robustness "${pacs[@]}" --seeds 0
refuses 'with --retrieval or --segmentation: expected --vocabulary' robustness "${pacs[@]}" --results ../other.jsonl "${tasks[@]}"
echo '{"images":[]}' >captions.json
refuses "captions.json" robustness "${pacs[@]}" --vocabulary "$shared/data/clip_bpe" --retrieval "$work/captions.json"
refuses "other files than the inputs, got '../captions.json' for both" robustness "${pacs[@]}" --retrieval "$work/captions.json" --report ../captions.json
refuses "option --retrieval: .*got 'none.json'" robustness "${pacs[@]}" --retrieval none.json
refuses 'expected --segmentation-labels' robustness "${pacs[@]}" --segmentation "$shared/data/coco128seg"
