#!/usr/bin/env bash
# retrieval: pre-trains on half of Flickr8k's training images, fine-tunes in two ways, measures both directions; goes on from what it
# saved with a table of captions.
. "$(dirname "$0")/program_test.sh"
flickr=$shared/data/flickr8k
karpathy=(--data "$flickr/dataset_flickr8k.json" --images "$flickr/images" --vocabulary "$shared/data/clip_bpe")
numbers='( +[0-9.]+){8}$'

run retrieval "${karpathy[@]}" --limit 24 --batch 8 --pretrain-steps 4 --steps 4 --flyp-lr 1e-4,1e-3 --adapter-lr 0.1 --save saved --figure figure.svg
has out.txt '^Recall in % and median rank on the test set$'
has out.txt "^zero-shot +0$numbers"
for method in FLYP R-Adapter; do has out.txt "^$method +[1-9][0-9]+$numbers"; done
has out.txt '^FLYP +(0.0001|0.001) +0.0001: [0-9.]+, 0.001: [0-9.]+ '
# More of the first ones finds no less: R@1 <= R@5 <= R@10 in both directions, all up to 100; of 24 images and 120 captions.
awk '/^(zero-shot|FLYP|R-Adapter) .* [0-9]+$/ && NF == 10 { n++; for (i = 3; i <= 7; i += 4) if ($i > $(i+1) || $(i+1) > $(i+2) || $(i+2) > 100) exit 1
       if ($6 < 1 || $6 > 120 || $10 < 1 || $10 > 24) exit 1 } END { if (n != 3) exit 1 }' out.txt || die "these are no recalls and ranks"
is_report report.html 4 28 zero-shot FLYP R-Adapter
has report.html 'Images for captions'
is_chart figure.svg 'Recall on the test set' 'text to image R@10|text to image' R-Adapter
count_is retrieval.jsonl '"method":"pre-training"' 4
count_is retrieval.jsonl '"method":"FLYP"' 8
count_is retrieval.jsonl '"result":' 3
has retrieval.jsonl '"pretraining":11,"train":11,"validation":2,"test":24,"skipped":0,"overlapping":130'
# This copy of Flickr8k lists 130 files in train and test; what was tested on must not have been trained on.
has out.txt '^130 images are listed in more than one part'
has_not retrieval.jsonl 'null'

# A run that is killed goes on from what it kept, its pre-training as well, and gives the results of one that was not.
cut=("${karpathy[@]}" --limit 24 --batch 8 --pretrain-steps 3 --steps 12 --flyp-lr 1e-4,1e-3 --adapter-lr 0.1)
run retrieval "${cut[@]}" --log whole.jsonl
"$programs/retrieval" "${cut[@]}" --log cut.jsonl --checkpoints kept --checkpoint-every 5 >out.txt 2>err.txt &
while [ ! -e kept/FLYP__lr_0.001.safetensors ]; do
  kill -0 $! 2>>killed.txt || die "retrieval --checkpoints ended without a checkpoint in sight"
  sleep 0.01
done
kill -9 $!
wait $! 2>>killed.txt || true
refuses "going on from '[^']*': expected a run with the data and options of this one, got another" retrieval "${cut[@]}" --momentum 0.5 --checkpoints ../kept
run retrieval "${cut[@]}" --log cut.jsonl --checkpoints kept --checkpoint-every 5
has out.txt "^pre-training, seed 0: going on from step 3 in 'kept/"
has out.txt "^FLYP, lr 0.001: going on from step (5|10|12) in 'kept/"
[ ! -e kept ] || die "kept/ should be gone when all is written"
results() { grep '"result":' "$1" | sed 's/"seconds":[^,}]*//'; }
diff <(results whole.jsonl) <(results cut.jsonl | tail -n "$(results whole.jsonl | wc -l)") || die "the run that went on tells other results"

# A table in place of the JSON, from the checkpoint that was saved; an image without a file is left out and named.
photos=0
{
  echo 'image,caption'
  for photo in "$flickr"/images/*.jpg; do
    name=$(basename "$photo")
    echo "$name,\"a photo, of something\""
    echo "$name,another caption"
    [ "$((++photos))" -lt 20 ] || break
  done
  echo 'missing.jpg,a file that is not there'
} >captions.csv
run retrieval --data captions.csv --images "$flickr/images" --vocabulary "$shared/data/clip_bpe" --from saved/base --batch 6 --steps 2 --adapter-lr 1e-3 \
  --no-flyp --report table.html --log table.jsonl
has err.txt "^skipped: radapt: reading '.*missing.jpg'"
has table.jsonl '"pretraining":0,.*"skipped":1'
has_not out.txt '^FLYP'
is_report table.html 3 8 zero-shot R-Adapter
# What was saved is a CLIP with adapters.
run merge --base saved/base --adapter saved/r_adapter.safetensors --alpha 0.8 --out merged
has out.txt 'read again bit for bit'

refuses "none.json': expected" retrieval --data none.json --images "$flickr/images" --vocabulary "$shared/data/clip_bpe"
refuses 'retrieval: .*--batch.*1 not in range.*See retrieval --help' retrieval "${karpathy[@]}" --batch 1
refuses 'retrieval without --from: expected --vocabulary.* got none' retrieval --data "$flickr/dataset_flickr8k.json" --images "$flickr/images"
refuses "column 'file'.*" retrieval --data "$work/captions.csv" --image-column file --images "$flickr/images" --vocabulary "$shared/data/clip_bpe"
refuses "the outputs: expected a file for each, got 'same' for two" retrieval "${karpathy[@]}" --report same --log same
printf 'image,caption\n' >latin.csv
for image in $(ls "$flickr/images" | head -n 12); do printf '%s,caf\xe9\n' "$image" >>latin.csv; done
refuses 'expected at least one that can be read, got none' retrieval --data "$work/latin.csv" --images "$flickr/images" --vocabulary "$shared/data/clip_bpe" --log ../latin.jsonl
refuses "writing 'nowhere/report.html': expected a folder" retrieval "${karpathy[@]}" --report nowhere/report.html
