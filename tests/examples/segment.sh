#!/usr/bin/env bash
# segment: pre-trains on objects of half of the images, labels the pixels of the others, measures and draws; then from a checkpoint with
# adapters, with labels of its own and without outlines.
. "$(dirname "$0")/program_test.sh"
coco=$shared/data/coco128seg
names=$shared/data/clip_vitb32_features/text_coco80_names.json
measured=(--images "$coco/images" --truth "$coco/labels/train2017" --labels "$names" --vocabulary "$shared/data/clip_bpe")
saved=$work/../retrieval/saved
[ -s "$saved/r_adapter.safetensors" ] || die "the test examples.retrieval left no adapters"

run segment "${measured[@]}" --limit 12 --pretrain-steps 4 --short-side 48 --panel 64 --shown 3 --overlays overlays --save saved
has out.txt '^Pixels of 6 images that have a label, in %$'
for way in patches 'regions of the patches' 'regions of the truth'; do has out.txt "^zero-shot: $way( +[0-9.]+){3}$"; done
has out.txt '^the most frequent label everywhere( +[0-9.]+){3}$'
awk '/^zero-shot: / { for (i = NF - 2; i <= NF; i++) if ($i < 0 || $i > 100) exit 1 }' out.txt || die "these are no shares in %"
has err.txt '^pre-training 100% 4/4 '
is_report report.html 0 3 'zero-shot: patches' 'zero-shot: regions of the truth'
has report.html 'was pre-trained for 4 steps of [0-9]+ pairs on [1-9][0-9]* objects of [0-9]+ classes, cut out of 6 other images'
[ "$(ls overlays | wc -l)" = 3 ] || die "there should be three overlays"
# Five parts of 64 pixels, two between: 4 * 2 + 5 * 64 wide where the image is wider than high.
for overlay in overlays/*.png; do is_png "$overlay"; done
width=$(head -c 20 "$(ls overlays/*.png | sed -n 1p)" | tail -c 4 | od -An -tu1 | awk '{ print $3 * 256 + $4 }')
[ "$width" -gt 200 ] && [ "$width" -le 328 ] || die "an overlay is $width pixels wide"
[ -s saved/base/model.safetensors ] || die "the pre-trained model was not saved"
first=$(grep '^zero-shot' out.txt)

# The same run gives the same figures.
run segment "${measured[@]}" --limit 12 --pretrain-steps 4 --short-side 48 --shown 0
[ "$(grep '^zero-shot' out.txt)" = "$first" ] || die "the same run gives other figures"

# Adapters: at alpha 0 they change nothing, at alpha 1 they do; both are beside the checkpoint alone.
adapted=("${measured[@]}" --limit 4 --short-side 48 --shown 0 --from "$saved/base" --adapter "$saved/r_adapter.safetensors")
figures() { awk -v model="$1" 'index($0, model) == 1 { print $(NF - 2), $(NF - 1), $NF }' out.txt; }
run segment "${adapted[@]}" --alpha 0
[ "$(figures zero-shot)" = "$(figures R-Adapter)" ] || die "adapters at alpha 0 change the figures"
run segment "${adapted[@]}" --alpha 1
has out.txt '^R-Adapter, alpha 1: regions of the truth( +[0-9.]+){3}$'
[ "$(figures zero-shot)" != "$(figures R-Adapter)" ] || die "adapters at alpha 1 change nothing"

# Labels and templates of one's own, no outlines: what was found is said.
photo=$coco/images/train2017/000000000009.jpg
run segment --images "$photo" --labels 'bowl of food,broccoli' --template '{}' --template 'a photo of a {}.' --vocabulary "$shared/data/clip_bpe" \
  --from "$shared/fixtures/tiny_clip_vocab49408" --overlays own --panel 64
has out.txt '^000000000009.jpg; zero-shot: patches: (bowl of food|broccoli) [0-9]+ %'
has_not out.txt mIoU
is_png own/000000000009.png

# What cannot be read is named, counted and left out. Blanks and a byte order mark are no part of a label.
mkdir -p torn
cp "$photo" torn/whole.jpg
head -c 2000 "$photo" >torn/cut.jpg
: >torn/empty.jpg
printf '\xef\xbb\xbf bowl of food \r\nbroccoli\t\n' >labels.txt
run segment --images torn --labels labels.txt --vocabulary "$shared/data/clip_bpe" --from "$shared/fixtures/tiny_clip_vocab49408" --panel 64
has out.txt '^whole.jpg; zero-shot: patches: (bowl of food|broccoli) [0-9]+ %'
has out.txt 'images: 1   not readable: 2 '
has err.txt "^left out: radapt: .*torn/empty.jpg"
has report.html '2 images could not be read'
rm torn/whole.jpg
refuses 'segmenting: expected at least one image that can be read, got none of 2' segment --images "$work/torn" --labels cat,dog \
  --from "$shared/fixtures/tiny_clip_vocab49408" --vocabulary "$shared/data/clip_bpe"
printf ' \n' >labels.txt
refuses "reading the names of the labels from .*one empty" segment --images "$photo" --labels "$work/labels.txt" --from "$saved/base"

refuses "images, .*none|looking for images in '.*': expected files" segment --images "$shared/data/clip_bpe" --labels a,b --from "$saved/base"
refuses 'segment: .*--alpha.*2 not in range.*See segment --help' segment "${adapted[@]}" --alpha 2
refuses "segment without --from: expected --truth and --vocabulary" segment --images "$photo" --labels cat,dog
refuses "reading the names of the labels from .*: expected different names" segment --images "$photo" --labels cat,cat --from "$saved/base"
refuses "reading the names of the labels from 'no_such_labels.txt': expected a file, got nothing" segment --images "$photo" --labels no_such_labels.txt --from "$saved/base"
{ printf '%1000000s' '' | tr ' ' '['; printf '%1000000s' '' | tr ' ' ']'; } >deep.json
refuses "deep.json': expected at most 32 levels of nesting" segment --images "$photo" --labels "$work/deep.json" --from "$saved/base"
mkdir -p same/a same/b
cp "$photo" same/a/x.jpg
cp "$photo" same/b/x.jpg
refuses "the images: expected different names.*got 'x' twice" segment --images "$work/same" --labels cat,dog --from "$saved/base" --vocabulary "$shared/data/clip_bpe"
refuses "pixels: expected sides of at most 32768" segment --images "$photo" --labels cat,dog --from "$saved/base" --vocabulary "$shared/data/clip_bpe" --short-side 100000
refuses "a class from 0 to 1" segment --images "$photo" --labels cat,dog --truth "$coco/labels/train2017" --from "$saved/base"
refuses "expected a short side from 48 .*got 16" segment --images "$photo" --labels cat,dog --from "$saved/base" --vocabulary "$shared/data/clip_bpe" --short-side 16
