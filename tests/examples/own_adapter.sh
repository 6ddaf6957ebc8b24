#!/usr/bin/env bash
# own_adapter: both adapters train alone, the linear one merges.
. "$(dirname "$0")/program_test.sh"

run own_adapter --steps 60
has out.txt '^bottleneck: [1-9][0-9]* of [0-9]+ parameters train, 0 of [1-9][0-9]* frozen tensors changed, loss [0-9.]+ -> [0-9.]+$'
has out.txt '^linear: [1-9][0-9]* of [0-9]+ parameters train, 0 of [1-9][0-9]* frozen tensors changed, loss [0-9.]+ -> [0-9.]+$'
# Training does more than move: the loss of eight pairs falls by half at least.
awk '/loss/ { n++; if ($NF > $(NF - 2) / 2) exit 1 } END { if (n != 2) exit 1 }' out.txt || die "a loss did not fall by half"
has out.txt '^merged: max \|features - features with the adapters\| = [0-9.]+e-0[5-9], of features up to [0-9.]+$'

refuses "own_adapter: .*--steps.*1 not in range.*See own_adapter --help" own_adapter --steps 1
