#!/usr/bin/env bash
# embed on the kernels of the CUDA backend, which this build runs on the host's processor: the golden features again.
. "$(dirname "$0")/program_test.sh"
tiny=$shared/fixtures/tiny_clip_quickgelu

# As in embed.sh.
run embed --device cuda --model "$tiny" --pixels "$tiny/forward.safetensors:input.pixel_values" --out images.npy \
  --verify "$tiny/forward.safetensors:f64.image_features" --tolerance 1e-5
has out.txt '^device: the host.s processor, standing in for a GPU$'
is_npy images.npy 3 48
run embed --device cuda --model "$tiny" --ids "$tiny/forward.safetensors:input.token_ids" --out texts.npy \
  --verify "$tiny/forward.safetensors:f64.text_features" --tolerance 1e-5
# Factors of bf16 are off by 2^-9, and three blocks of them add up: a few per cent of the largest feature at most, and
# more than f32 gives.
run embed --device cuda_bf16 --model "$tiny" --pixels "$tiny/forward.safetensors:input.pixel_values" --out bf16.npy \
  --verify "$tiny/forward.safetensors:f64.image_features" --tolerance 3e-2
! cmp -s images.npy bf16.npy || die "bf16 gave the features of float"
refuses 'embed: .*--device.*gpu.*See embed --help' embed --device gpu --model "$tiny" --out x.npy \
  --pixels "$tiny/forward.safetensors:input.pixel_values"
