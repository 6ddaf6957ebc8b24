#!/usr/bin/env bash
# merge: adapters that fine_tune.sh trained become a plain checkpoint under either family of names.
. "$(dirname "$0")/program_test.sh"
saved=../fine_tune/saved
[ -s $saved/r_adapter.safetensors ] || die "the test examples.fine_tune left no adapters"
images=("$shared/data/pacs/photo/dog/056_0001.jpg" "$shared/data/pacs/sketch/house/")
base=(--base $saved/base --adapter $saved/r_adapter.safetensors)

features() { # features MODEL FILE: of one photo
  run embed --model "$1" --images "${images[0]}" --out "$2"
  is_npy "$2" 1 128
}
run merge "${base[@]}" --alpha 0.5 --out half --origin hf
has out.txt '^adapters of rank full, averaged while training$'
has out.txt '^max \|image features \(merged\) - \(unmerged at alpha 0.5\)\| = [0-9.e-]+, of features up to [0-9.]+$'
has out.txt '^max \|text features'
has out.txt "^half: a plain CLIP under transformers' names, read again bit for bit$"
for file in config.json preprocessor_config.json model.safetensors; do [ -s half/$file ] || die "half/$file is missing"; done
has half/config.json '"projection_dim": *128'
grep -aq 'vision_model.encoder.layers.0.self_attn.out_proj.weight' half/model.safetensors || die "the tensors should have transformers' names"
! grep -aq 'adapter' half/model.safetensors || die "an adapter is left in the merged checkpoint"

# alpha 0 is the base bit for bit, under other names too; alpha 0.5 is another model.
run merge "${base[@]}" --alpha 0 --out zero --origin open_clip
has out.txt "^zero: a plain CLIP under open_clip's names, read again bit for bit$"
grep -aq 'visual.transformer.resblocks.0.attn.out_proj.weight' zero/open_clip_model.safetensors || die "the tensors should have open_clip's names"
features $saved/base base.npy
features zero zero.npy
features half half.npy
cmp base.npy zero.npy || die "merged at alpha 0 is not the base"
! cmp -s base.npy half.npy || die "merged at alpha 0.5 is the base"

refuses "mapping 'none.safetensors': expected a readable file, got No such file" merge --base "$work/$saved/base" --adapter none.safetensors --alpha 1 --out merged
refuses 'merge: .*--origin.*(hf|open_clip).*See merge --help' merge --base x --adapter x --alpha 1 --out merged --origin tensorflow
refuses 'merge: --alpha: expected a finite number, got nan' merge "${base[@]}" --alpha nan --out merged
cp -r half both
refuses "saving into '.*both': expected a folder without 'model.safetensors'" merge --base "$work/$saved/base" --adapter "$work/$saved/r_adapter.safetensors" \
  --alpha 1 --out "$work/both" --origin open_clip
[ ! -e both/open_clip_model.safetensors ] || die "a second checkpoint was written into one folder"
refuses "writing into the folder '/proc/x'" merge "${base[@]}" --alpha 1 --out /proc/x
# Adapters belong to the weights that they were trained with.
cp -r half other_base
refuses "other_base|fingerprint|frozen weights" merge --base "$work/other_base" --adapter "$work/$saved/r_adapter.safetensors" --alpha 1 --out merged
