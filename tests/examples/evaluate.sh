#!/usr/bin/env bash
# evaluate: metrics of a checkpoint on WebDataset shards and on folders.
. "$(dirname "$0")/program_test.sh"
tiny=(--model "$shared/fixtures/tiny_clip_vocab49408" --vocabulary "$shared/data/clip_bpe")
shift=$shared/data/cifar_shift
shards=(--classes "$shift/classnames.json" --id "$shift/cifar10-test-{000..002}.tar" --ood "$shift/tinyimagenet-ood-{000..001}.tar")

run evaluate "${tiny[@]}" "${shards[@]}" --limit 300 --threads 1 --out results.jsonl
number='[0-9]+\.[0-9]'
has out.txt "cifar10-test-\{000..002\}.tar +300 +10 +$number \( *$number \.\. +$number\)"
has out.txt "tinyimagenet-ood-\{000..001\}.tar +300 +7 "
has out.txt 'scored over its 7 of 10 classes'
has out.txt "^shift costs -?$number points"
count_is results.jsonl '"model":.*"id":\{"set":.*"macro_f1":.*"ece":.*"shifts":\[\{.*"ood":' 1
# The number of threads changes nothing.
cp out.txt one_thread.txt
run evaluate "${tiny[@]}" "${shards[@]}" --limit 300 --threads 3
cmp out.txt one_thread.txt || die "the number of threads changes the results"

# A second model, with other prompts, and then the line through both: on it there is no effective robustness.
run evaluate "${tiny[@]}" "${shards[@]}" --limit 300 --template '{}' --out results.jsonl
count_is results.jsonl '"ood":' 2
run evaluate "${tiny[@]}" "${shards[@]}" --limit 300 --baseline results.jsonl
has out.txt 'effective robustness [+-]0\.0 points \(the baseline explains 100 % of the variance of its 2 models'

run evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --ood "$shared/data/pacs/sketch" --limit 60
has out.txt 'pacs/photo +60 +7 '

# Accuracies that the line has no place for: it is said, and nothing is lost.
run evaluate "${tiny[@]}" "${shards[@]}" --limit 1 --baseline results.jsonl --out results.jsonl
has out.txt '^effective robustness: none, since'
count_is results.jsonl '"ood":' 3
# They are of these sets.
refuses "the baseline in '.*results.jsonl'.*pacs/photo and .*pacs/sketch, got .*cifar10-test-.*tar in line 1" evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --ood "$shared/data/pacs/sketch" --baseline "$PWD/results.jsonl"
# A set counts the classes that it has, whether or not an image of each is drawn.
run evaluate "${tiny[@]}" --id "$shared/data/pacs/photo/" --limit 3
has out.txt 'pacs/photo/ +3 +7 '
has err.txt 'evaluating photo'
run evaluate "${tiny[@]}" "${shards[@]}" --limit 3
has out.txt 'cifar10-test-\{000..002\}.tar +3 +10 '
has out.txt 'tinyimagenet-ood-\{000..001\}.tar +3 +7 '

refuses "expected a JSON list of the classes' names" evaluate "${tiny[@]}" --id "$shift/cifar10-test-000.tar"
refuses "class names in '.*config.json'.*expected a JSON list of strings" evaluate "${tiny[@]}" --id "$shift/cifar10-test-000.tar" --classes "$shared/fixtures/tiny_clip_vocab49408/config.json"
refuses "baseline: expected a set with --ood to compare on" evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --baseline "$PWD/results.jsonl"
refuses "no-such-000.tar'" evaluate "${tiny[@]}" --classes "$shift/classnames.json" --id no-such-000.tar
refuses "writing 'no-such-folder/results.jsonl': expected a folder" evaluate "${tiny[@]}" "${shards[@]}" --out no-such-folder/results.jsonl
echo '["airplane", "automobile"]' >two.json
refuses "the label of '.*cifar10-test-000.tar:.*expected a number from 0 to 1, got" evaluate "${tiny[@]}" --classes "$PWD/two.json" --id "$shift/cifar10-test-000.tar"
refuses "no-such-folder'" evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --ood no-such-folder
mkdir -p other/cat other/lynx
cp "$shared/data/pacs/photo/dog/056_0001.jpg" other/cat
cp "$shared/data/pacs/photo/dog/056_0001.jpg" other/lynx
refuses "the classes of '.*other'.*behind 0 that are the folder 'dog', got 2 folders, and there 'cat'" evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --ood "$PWD/other"
refuses 'evaluate: --limit: expected 0 or more, got -1' evaluate "${tiny[@]}" --id "$shared/data/pacs/photo" --limit -1
echo '{"id": 1}' >broken.jsonl
refuses "the baseline in '.*broken.jsonl'.*something else in line 1" evaluate "${tiny[@]}" "${shards[@]}" --baseline "$PWD/broken.jsonl"
