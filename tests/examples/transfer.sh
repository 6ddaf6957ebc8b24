#!/usr/bin/env bash
# transfer: two models are pre-trained, adapters of one are moved into the other; the modules are listed.
. "$(dirname "$0")/program_test.sh"
pacs=(--data "$shared/data/pacs" --id photo --ood sketch --limit 10 --batch 8 --pretrain-steps 2 --steps 1 --adapter-lr 1e-2)
methods=('source, zero-shot' 'source, trained' 'target, zero-shot' 'target, adapters copied' 'target, adapters transferred' 'target, trained anew')

run transfer "${pacs[@]}" --figure figure.svg
for method in "${methods[@]}"; do has out.txt "^$method +[0-9]+( +[0-9.]+){3}$"; done
count_is out.txt 'resblocks\.[0-9]+\.(attn\.out_proj|mlp\.c_proj)' 12
has out.txt '% of the energy is parallel or perpendicular'
is_report report.html 3 3 'target, adapters transferred'
is_chart figure.svg 'accuracy on photo \(ID\)' 'target, trained anew'

refuses "options --from and --to: expected both, or neither, got --to alone" transfer "${pacs[@]}" --to nowhere
refuses 'transfer: .*--energy.*2 not in range' transfer "${pacs[@]}" --energy 2
