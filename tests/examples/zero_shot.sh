#!/usr/bin/env bash
# zero_shot: probabilities of labels for image files.
. "$(dirname "$0")/program_test.sh"
tiny=(--model "$shared/fixtures/tiny_clip_vocab49408" --vocabulary "$shared/data/clip_bpe")
photo=$shared/data/pacs/photo/dog/056_0001.jpg

run zero_shot "${tiny[@]}" --labels dog,house,guitar --template 'a photo of a {}.' --template '{}' "$photo" "$shared/fixtures/preprocess/rgb_32x32.png"
count_is out.txt '^  +[0-9]+\.[0-9]{2} %  (dog|house|guitar)$' 6
has out.txt "^$photo$"
has out.txt "^$shared/fixtures/preprocess/rgb_32x32.png$"
# Of each image they sum up to 1, but for rounding, and are sorted.
awk '/%/ { sum += $1; if (n++ % 3 && $1 > last) exit 1; last = $1 } END { if (sum < 199.9 || sum > 200.1) exit 1 }' out.txt || die "these are no sorted probabilities"
# Options before the images take none of them.
cp out.txt before.txt
run zero_shot "$photo" "$shared/fixtures/preprocess/rgb_32x32.png" "${tiny[@]}" --template 'a photo of a {}.' --template '{}' --labels dog,house,guitar
cmp out.txt before.txt || die "the place of the options changes the result"
run zero_shot "${tiny[@]}" --labels dog,house "$photo" "$photo"
count_is out.txt '%  (dog|house)$' 4
# The same label twice has the same probability: what is printed depends on the label.
run zero_shot "${tiny[@]}" --labels dog,dog "$photo"
count_is out.txt '^   50.00 %  dog$' 2

refuses "'no-such-folder'.*expected" zero_shot --model no-such-folder --labels dog "$photo"
refuses 'zero_shot: --labels is required. See zero_shot --help' zero_shot --model x "$photo"
refuses "decoding '.*config.json': expected a PNG or JPEG file, got bytes of another format" zero_shot "${tiny[@]}" --labels dog "$shared/fixtures/tiny_clip_vocab49408/config.json"
