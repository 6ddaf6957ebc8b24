#!/usr/bin/env bash
# fine_tune: pre-trains on domains of PACS, fine-tunes in four ways, chooses on validation images, and goes on from what it saved.
# What is saved here is merged by merge.sh.
. "$(dirname "$0")/program_test.sh"
pacs=(--data "$shared/data/pacs" --id photo --ood sketch --vocabulary "$shared/data/clip_bpe" --limit 10 --batch 8)
methods=(zero-shot 'full fine-tuning' WiSE-FT FLYP R-Adapter)

run fine_tune "${pacs[@]}" --pretrain-steps 3 --steps 2 --lr 1e-4,1e-3 --flyp-lr 1e-4 --adapter-lr 1e-2 --save saved --figure figure.svg
has out.txt '^method +trained +photo \(ID\) +all shifts +sketch$'
has out.txt '^zero-shot +0( +[0-9.]+){3}$'
for method in "${methods[@]:1}"; do has out.txt "^$method +[1-9][0-9]+( +[0-9.]+){3}$"; done
has out.txt '^full fine-tuning +(0.0001|0.001) +0.0001: [0-9.]+, 0.001: [0-9.]+ '
is_report report.html 5 3 "${methods[@]}"
is_chart figure.svg 'accuracy on photo \(ID\)' R-Adapter
count_is fine_tune.jsonl '"method":"pre-training"' 3
count_is fine_tune.jsonl '"method":"full fine-tuning"' 4
count_is fine_tune.jsonl '"result":' 5
has fine_tune.jsonl '"result":"R-Adapter".*"curve":\[.*"alpha":1.0'
has_not fine_tune.jsonl 'null'

# From a checkpoint, under two seeds, without FLYP.
run fine_tune "${pacs[@]}" --from saved/base --pretrain-share 0.5 --no-flyp --steps 1 --seeds 2 --lr 1e-4 --adapter-lr 1e-3 --report again.html --log again.jsonl
has out.txt 'over 2 seeds'
has_not out.txt FLYP
has_not again.jsonl pre-training
is_report again.html 4 3 zero-shot R-Adapter

# A run that is killed goes on from what it kept, gives the results of one that was not, and cleans up. Runs of others are refused.
cut=("${pacs[@]}" --pretrain-steps 3 --steps 12 --lr 1e-4,1e-3 --no-flyp --adapter-lr 1e-2)
run fine_tune "${cut[@]}" --log whole.jsonl
"$programs/fine_tune" "${cut[@]}" --log cut.jsonl --checkpoints kept --checkpoint-every 5 >out.txt 2>err.txt &
while [ ! -e kept/full_fine-tuning_lr_0.001_seed_0.safetensors ]; do
  kill -0 $! 2>>killed.txt || die "fine_tune --checkpoints ended without a checkpoint in sight"
  sleep 0.01
done
kill -9 $!
wait $! 2>>killed.txt || true
refuses "going on from '[^']*.safetensors': expected a run with the data and options of this one, got another" \
  fine_tune "${cut[@]}" --momentum 0.5 --checkpoints ../kept
run fine_tune "${cut[@]}" --log cut.jsonl --checkpoints kept --checkpoint-every 5
has out.txt "^pre-training, seed 0: going on from step 3 in 'kept/"
has out.txt "^full fine-tuning lr 0.0001 seed 0: going on from step 12 in 'kept/"
has out.txt "^full fine-tuning lr 0.001 seed 0: going on from step (5|10|12) in 'kept/"
[ ! -e kept ] || die "kept/ should be gone when all is written"
results() { grep -E '"result":"(full|Wise|R-Adapter)' "$1" | sed 's/"seconds":[^,}]*//'; }
[ "$(results whole.jsonl | wc -l)" = 2 ] || die "two results should be compared"
diff <(results whole.jsonl) <(results cut.jsonl) || die "the run that went on tells other results"

refuses "'$shared/data/pacs': expected a folder 'oil', got the folders art_painting, cartoon, photo, sketch" \
  fine_tune --data "$shared/data/pacs" --id photo --ood oil
refuses 'fine_tune: .*--crop.*2 not in range.*See fine_tune --help' fine_tune --data "$shared/data/pacs" --id photo --ood sketch --crop 2
refuses "the domains: expected each one once.*got 'photo' twice" fine_tune --data "$shared/data/pacs" --id photo --ood sketch,photo
refuses '--lr: expected a finite number above 0, got -1' fine_tune --data "$shared/data/pacs" --id photo --ood sketch --lr 1e-4,-1
refuses '--micro-batch: expected 0 or more, got -1' fine_tune --data "$shared/data/pacs" --id photo --ood sketch --micro-batch -1
refuses '--tau: expected a finite number, got nan' fine_tune --data "$shared/data/pacs" --id photo --ood sketch --tau nan
refuses "writing 'nowhere/figure.svg': expected a folder" fine_tune --data "$shared/data/pacs" --id photo --ood sketch --figure nowhere/figure.svg
refuses "one of SmallClip.* Configure with -D RADAPT_TRAINED_ARCHITECTURES" fine_tune --data "$shared/data/pacs" --id photo --ood sketch \
  --from "$shared/fixtures/tiny_clip_quickgelu"
