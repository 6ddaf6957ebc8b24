#!/usr/bin/env bash
# The CUDA backend on a machine with a GPU where nothing can be installed: built here, run there.
#   bench/device.sh pack [FOLDER]        builds tests and benchmarks for that GPU, and gathers what they need in FOLDER
#   bench/device.sh run FOLDER OUT       on the GPU machine: tests, compute-sanitizer, benchmarks; writes OUT
#   bench/device.sh check FOLDER         what `run` would start, tried without a GPU: every program says that there is none
# FOLDER is build/device unless given, and holds all that `run` reads but python3 with PyTorch and the CUDA libraries.
# RADAPT_CUDA_ARCHITECTURES names the GPU for `pack` (90a-real, an H100 or H200, by default).
set -uo pipefail

script=$(readlink -f "${BASH_SOURCE[0]}")
root=$(dirname "$(dirname "$script")")

die() {
  echo "radapt: device.sh: $*" >&2
  exit 1
}

pack() {
  local folder=${1:-} build=$root/build/cuda shared=${RADAPT_SHARED:-$root/../shared} program
  folder=${folder:-$root/build/device}
  command -v nvcc >/dev/null || [ -n "${CUDACXX:-}" ] || die "pack: expected nvcc on PATH or CUDACXX, got neither"
  [ -d "$shared/fixtures/tiny_clip_quickgelu" ] || die "pack: expected fixtures/tiny_clip_quickgelu below '$shared'; set RADAPT_SHARED"
  local -r targets=(radapt_cuda_gpu_tests bench_worker_cuda bench_kernels_cuda)
  cmake -S "$root" -B "$build" -D CMAKE_BUILD_TYPE=Release -D RADAPT_WITH_CUDA=ON -D RADAPT_BUILD_BENCH=ON -D RADAPT_BUILD_EXAMPLES=OFF \
    -D RADAPT_CUDA_ARCHITECTURES="${RADAPT_CUDA_ARCHITECTURES:-90a-real}" >/dev/null || die "pack: configuring failed"
  cmake --build "$build" -j "$(nproc)" --target "${targets[@]}" || die "pack: building failed"
  rm -rf "$folder"
  mkdir -p "$folder/bin" "$folder/lib" "$folder/shared/fixtures" "$folder/bench"
  for program in "$build/tests/cuda/radapt_cuda_gpu_tests" "$build/bench/bench_worker_cuda" "$build/bench/bench_kernels_cuda"; do
    cp "$program" "$folder/bin/" || die "pack: '$program' is not there"
    # What the GPU machine has of its own: the C and C++ runtimes, and CUDA.
    ldd "$program" | awk '$3 ~ /^\// && $1 !~ /^(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|libcublas|libcublasLt|libcudart)\.so/ {print $3}' |
      xargs -r cp -L -t "$folder/lib/"
  done
  strip "$folder/bin/"*
  cp -r "$shared/fixtures/tiny_clip_quickgelu" "$shared/fixtures/losses.safetensors" "$folder/shared/fixtures/"
  cp -r "$root/bench/compare.py" "$root/bench/comparison" "$root/bench/peers" "$script" "$folder/bench/"
  python3 -m pip install --quiet --no-deps --target "$folder/python" open_clip_torch ftfy wcwidth ||
    echo "radapt: device.sh: open_clip could not be fetched: there will be nothing to compare with" >&2
  find "$folder" -name __pycache__ -prune -exec rm -rf {} +
  du -sh "$folder"
}

# Where the CUDA libraries are: the toolkit's, or those that PyTorch brings.
cuda_libraries() {
  ls -d /usr/local/cuda/lib64 /usr/local/cuda/targets/*/lib 2>/dev/null
  python3 -c 'import glob, os, site
for folder in site.getsitepackages(): print("\n".join(glob.glob(os.path.join(folder, "nvidia", "*", "lib"))))' 2>/dev/null
}

# step SECONDS NAME COMMAND...: runs it with a limit and keeps what it prints.
step() {
  local limit=$1 name=$2 code=0 before=$SECONDS
  shift 2
  echo "=== $name"
  timeout "$limit" "$@" >"$out/$name.log" 2>&1 || code=$?
  tail -n 4 "$out/$name.log"
  echo "=== $name: exit code $code after $((SECONDS - before)) s" | tee -a "$out/summary.txt"
  return $code
}

run() {
  local folder out
  folder=$(readlink -f "$1")
  mkdir -p "$2"
  out=$(readlink -f "$2")
  local tests=$folder/bin/radapt_cuda_gpu_tests compare
  LD_LIBRARY_PATH=$folder/lib:$(cuda_libraries | paste -sd:)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH RADAPT_SHARED=$folder/shared PYTHONPATH=$folder/python PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
  : >"$out/summary.txt"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee -a "$out/summary.txt"
  nvidia-smi | sed -n 's/.*\(CUDA Version: [0-9.]*\).*/driver for \1/p' | tee -a "$out/summary.txt"
  if ldd "$tests" | grep 'not found' | tee -a "$out/summary.txt" | grep -q .; then die "run: libraries are missing on this machine"; fi
  step 150 tests "$tests"
  [ $? != 77 ] || die "run: the tests found no GPU that they can use; what they say is in $out/tests.log"
  # Every kernel of a training step of the tiny model, and a product with several tiles.
  local -r small=(--test-case="*cuda: gradients of full-rank*,*products of factors*")
  for tool in memcheck racecheck initcheck; do
    step 60 "sanitizer-$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" "${small[@]}"
  done
  compare=(python3 "$folder/bench/compare.py" --device cuda --worker "$folder/bin" --folder "$out/../compare" --rounds 5 --seconds 0.3
           --results "$out/h200.json" --note "$(date +%F)")
  step 180 train-step "${compare[@]}" --works train_step --architectures ViT-B-16:512 --precision bf16 --peers torch
  step 120 images "${compare[@]}" --works image --architectures ViT-B-16 --batches 1,256 --precision bf16,f32 --peers torch
  step 120 train-step-f32 "${compare[@]}" --works train_step --architectures ViT-B-16:64 --precision f32 --peers torch
  # Every kernel of a step by itself; in float those that are not the same on both backends.
  step 100 kernels "$folder/bin/bench_kernels_cuda" --benchmark_min_time=0.05 --benchmark_out="$out/kernels.json" --benchmark_out_format=json \
    --benchmark_filter='/cuda_bf16/B_16 |(linear|attention|loss|entropy|adamw|neighbour).*/cuda/B_16 '
  rm -rf "$out/../compare"
  cat "$out/summary.txt"
}

check() {
  local folder
  folder=$(readlink -f "$1")
  LD_LIBRARY_PATH=$folder/lib:$(cuda_libraries | paste -sd:)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
  "$folder/bin/radapt_cuda_gpu_tests"
  [ $? = 77 ] || [ -e /dev/nvidiactl ] || die "check: expected exit code 77 of the tests where there is no GPU"
  echo '{"command":"hello"}' | "$folder/bin/bench_worker_cuda" || die "check: bench_worker_cuda does not start"
  "$folder/bin/bench_kernels_cuda" --benchmark_list_tests --benchmark_filter=/B_16 | grep '^linear_forward/cuda_bf16/B_16 ' >/dev/null ||
    die "check: bench_kernels_cuda does not list its rows"
  PYTHONPATH=$folder/python python3 "$folder/bench/compare.py" --device cuda --worker "$folder/bin" --help >/dev/null || die "check: compare.py does not start"
}

case ${1:-} in
  pack) pack "${2:-}" ;;
  run) [ $# = 3 ] || die "run: expected FOLDER and OUT"; run "$2" "$3" ;;
  check) check "${2:-$root/build/device}" ;;
  *) sed -n '2,7s/^# //p' "$script" >&2; exit 2 ;;
esac
