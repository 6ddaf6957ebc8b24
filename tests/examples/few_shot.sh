#!/usr/bin/env bash
# few_shot: curves over shots on real features, base-to-novel, and what it refuses.
. "$(dirname "$0")/program_test.sh"
features=$shared/data/clip_vitb32_features
same=(--same ice_cream=icecream,omelette=omelet,tacos=taco)
methods=(zero-shot 'linear probe' WiSE-FT OSE VRF CLIP-Adapter Tip-Adapter Tip-Adapter-F)

run few_shot --data "$features" "${same[@]}" --shots 1,16 --seeds 2 --figure figure.svg
spread='( +[0-9.]+ ± [0-9.]+)'
has out.txt '^6 classes of food10 with a head from text: top-1 accuracy in % on 300 images'
has out.txt '^method +1 +16$'
for method in "${methods[@]}" 'linear probe from zero'; do has out.txt "^$method$spread{2}$"; done
has out.txt '^All 10 classes of food10, without text: .* on 500 images'
for method in 'Tip-Adapter without a head' 'Tip-Adapter-F without a head'; do has out.txt "^$method$spread{2}$"; done
# The head from text does not see the shots. 98.0 % of 300 images is what tests/task/few_shot_features_test.cpp finds.
has out.txt '^zero-shot +98.0 ± 0.0 +98.0 ± 0.0$'
# Without text sixteen shots are worth ten points over one, and 94 % (a standard error of 500 images is one point).
awk '/without text/ { inside = 1 } inside && /(without a head|linear probe from zero) +[0-9]/ { n++
       if ($(NF-2) < $(NF-5) + 10 || $(NF-2) < 94) exit 1 } END { if (n != 3) exit 1 }' out.txt || die "these are no curves"
count_is results.jsonl '"result":' $(((9 + 3) * 2 * 2))
count_is results.jsonl '"result":"VRF".*"chosen":\{"a":[0-9.]+,"b":[0-9.]+,.*"failures":[0-9]+' 4
count_is results.jsonl '"result":"WiSE-FT".*"alpha":[01]' 4
has_not results.jsonl 'null'
is_report report.html 2 0 "${methods[@]}" 'linear probe from zero' 'Tip-Adapter without a head'
is_chart figure.svg 'shots for each class' CLIP-Adapter 'linear probe from zero'
# Draws follow from the seed.
cp results.jsonl first.jsonl && rm results.jsonl
run few_shot --data "$features" "${same[@]}" --shots 1,16 --seeds 2
diff <(grep result first.jsonl) <(grep result results.jsonl) || die "the second run tells other results"

run few_shot --data "$features" "${same[@]}" --shots 2 --seeds 1 --base-to-novel --results novel.jsonl
has out.txt '^2 shots of 3 of 6 classes'
for method in "${methods[@]}"; do has out.txt "^$method( +[0-9.]+){6}$"; done
has_not out.txt 'from zero'
# By themselves novel classes have nothing but their texts, except for what CLIP-Adapter puts in front of them.
novel=$(awk '/^zero-shot / { print $3 }' out.txt)
count_is out.txt "^(zero-shot|linear probe|WiSE-FT|OSE|VRF|Tip-Adapter|Tip-Adapter-F) +[0-9.]+ +$novel +[0-9.]+ " 7
# H = 2 B N / (B + N), printed to a tenth like its parts.
awk '/^[A-Za-z].* [0-9.]+$/ && NF >= 7 { n++; b = $(NF-5); w = $(NF-4); d = $(NF-3) - 2 * b * w / (b + w); if (d > 0.16 || d < -0.16) exit 1 }
     END { if (n != 8) exit 1 }' out.txt || die "these are no harmonic means"
count_is novel.jsonl '"trained_classes":3' 8
is_report report.html 0 0 "${methods[@]}"

refuses "option --same, 'pie=taco'.*a class in 'food10_names.json'.*got 'pie'" few_shot --data "$features" --same pie=taco
refuses "option --same, 'tacos=tacoz'.*got 'tacoz'" few_shot --data "$features" --same tacos=tacoz
refuses "option --same: expected CLASS=TEXT, got 'tacos'" few_shot --data "$features" --same tacos
refuses "option --same: expected each class once, got 'tacos' twice" few_shot --data "$features" --same tacos=taco,tacos=pie
refuses "food11_names.json.*got no such file" few_shot --data "$features" --set food11
refuses "class 'apple_pie': expected 1004 images.*got 200" few_shot --data "$features" --shots 1000
refuses 'few_shot: .*--data.*nowhere' few_shot --data nowhere
