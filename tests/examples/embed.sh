#!/usr/bin/env bash
# embed: features of images, of texts, of prepared pixels and of token ids, held against the golden values.
. "$(dirname "$0")/program_test.sh"
tiny=$shared/fixtures/tiny_clip_quickgelu

# Ten units in the last place of f32, of the largest feature: what summing in another order does to three blocks.
run embed --model "$tiny" --pixels "$tiny/forward.safetensors:input.pixel_values" --out images.npy \
  --verify "$tiny/forward.safetensors:f64.image_features" --tolerance 1e-5
has out.txt '^images.npy: 3 x 48$'
has out.txt '^3 rows: least cosine (1.000000000|0.99999999[0-9]), max '
is_npy images.npy 3 48
run embed --model "$tiny" --ids "$tiny/forward.safetensors:input.token_ids" --out texts.npy \
  --verify "$tiny/forward.safetensors:f64.text_features" --tolerance 1e-5
is_npy texts.npy 8 48

# Files: a folder gives its images in the order of their paths, so the first row is that of the first image.
big=(--model "$shared/fixtures/tiny_clip_vocab49408" --vocabulary "$shared/data/clip_bpe")
mkdir folder
cp "$shared"/data/pacs/photo/dog/056_000[12].jpg "$shared/fixtures/preprocess/rgb_32x32.png" folder/
run embed "${big[@]}" --images folder --out folder.npy --normalize
is_npy folder.npy 3 24
run embed "${big[@]}" --images folder/056_0001.jpg --out first.npy --normalize
is_npy first.npy 1 24
# Products of one row add up in another order than those of three: ten units in the last place of a feature of length one.
row() { od -An -v -t f4 -w4 -j $((128 + 96 * $2)) -N 96 "$1"; }
near() { paste <(row "$1" "$2") <(row "$3" "$4") | awk '{ d = $1 - $2; if (d < 0) { d = -d } if (d > 1e-6) { exit 1 } }'; }
near first.npy 0 folder.npy 0 || die "the first row of the folder is not its first image"
! near first.npy 0 folder.npy 1 || die "the second row of the folder is its first image"
printf 'a dog\r\na photo of a house\na dog\n' >texts.txt
run embed "${big[@]}" --texts texts.txt --out lines.npy
is_npy lines.npy 3 24
cmp <(row lines.npy 0) <(row lines.npy 2) || die "the same caption has other features, or the end of a line is read"
! near lines.npy 0 lines.npy 1 || die "another caption has the same features"

refuses "other files than the inputs, got '../texts.txt' for both" embed "${big[@]}" --texts "$work/texts.txt" --out ../texts.txt
refuses "the tokenizer in '.*clip_bpe': expected at most 320 tokens, which the model has, got 49408" embed --model "$tiny" \
  --vocabulary "$shared/data/clip_bpe" --texts "$work/texts.txt" --out x.npy
refuses "nowhere/x.npy': expected a folder" embed "${big[@]}" --images "$work/folder" --out nowhere/x.npy
refuses 'embed: .*--tolerance.*much.*See embed --help' embed "${big[@]}" --images "$work/folder" --out x.npy --tolerance much
refuses "looking for images in '.*': expected files that end in .jpg, .jpeg or .png, got none" embed "${big[@]}" --images "$shared/data/clip_bpe" --out x.npy
: >empty.txt
refuses "empty.txt': expected at least one caption" embed "${big[@]}" --texts "$work/empty.txt" --out x.npy
refuses "verifying .*: expected a difference of at most 1e-12" embed --model "$tiny" --out x.npy --tolerance 1e-12 \
  --pixels "$tiny/forward.safetensors:input.pixel_values" --verify "$tiny/forward.safetensors:f64.image_features"
# tensor FILE SHAPE BYTES TIMES: a file with the tensor x of so many times these four bytes, as printf writes them.
tensor() {
  local header i
  header='{"x":{"dtype":"F32","shape":'$2',"data_offsets":[0,'$(($4 * 4))']}}'
  printf '%b' "\\x$(printf %02x ${#header})\\0\\0\\0\\0\\0\\0\\0$header" >"$1"
  for ((i = 0; i < $4; ++i)); do printf '%b' "$3"; done >>"$1"
}
# What is no number is near nothing.
tensor nan.safetensors '[3,48]' '\0\0\xc0\x7f' 144
refuses "verifying .*: expected a difference of at most 0.1 .*, got nan" embed --model "$tiny" --out x.npy --tolerance 0.1 \
  --pixels "$tiny/forward.safetensors:input.pixel_values" --verify "$work/nan.safetensors:x"
tensor last.safetensors '[1,32,32,3]' '\0\0\0\0' 3072
refuses "pixels in '.*last.safetensors:x': expected shape \[N,3,32,32\] with at least one image, got shape \[1,32,32,3\]" embed --model "$tiny" --out x.npy \
  --pixels "$work/last.safetensors:x"
refuses "verifying .*: expected a difference of at most 0 " embed --model "$tiny" --out x.npy --tolerance 0 \
  --pixels "$tiny/forward.safetensors:input.pixel_values" --verify "$tiny/forward.safetensors:f64.image_features"
refuses '--tolerance: expected a finite number, 0 or more, got -1' embed --model "$tiny" --out x.npy --tolerance -1 --verify x:y --images x
refuses '--tolerance requires --verify' embed --model "$tiny" --out x.npy --tolerance 1 --images x
refuses "/dev/null': expected a file, or nothing, of that name, got a device" embed "${big[@]}" --images "$work/folder" --out /dev/null
refuses '--out: expected a value, got nothing' embed "${big[@]}" --images "$work/folder" --out ''
refuses "the model in 'nowhere': expected a checkpoint folder.*got nothing of that name" embed --model nowhere --images "$work/folder" --out x.npy
printf 'a dog\n\xff\n' >no_utf8.txt
refuses "line 2 of '.*no_utf8.txt': expected a caption, got an error: .*UTF-8" embed "${big[@]}" --texts "$work/no_utf8.txt" --out x.npy
refuses "the tokenizer beside the weights: .*--vocabulary names another" embed --model "$shared/fixtures/tiny_clip_vocab49408" --texts "$work/texts.txt" --out x.npy
refuses "a text file, one caption per line, got a folder" embed "${big[@]}" --texts "$work/folder" --out x.npy
# A build without CUDA says so; one with it needs a GPU.
refuses '--device cuda: expected (a build with CUDA, got one without|an NVIDIA GPU, got none)' embed --device cuda --model "$tiny" \
  --out x.npy --pixels "$tiny/forward.safetensors:input.pixel_values"
