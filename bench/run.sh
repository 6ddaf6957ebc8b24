#!/usr/bin/env bash
# Measures kernels, models and loading shortly, and prints every rate as a share of what the machine can do in the same run.
# usage: bench/run.sh [--seconds S] [--busy] [FOLDER]
#   FOLDER   where bench_model, bench_load and bench_ops are; without it the preset `release` is built first
#   S        least time for each row, 0.2 by default
#   --busy   for a machine that does other things besides: one thread, and rates by its processor time
# Shares of FLOP/s are of the best matrix product of the run, shares of loading of the rate at which the file is read.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=0.2
busy=0
folder=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?"--seconds needs a number"}; shift 2 ;;
    --busy) busy=1; export OMP_NUM_THREADS=1; shift ;;
    -*) sed -n '3,6s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    *) folder=$1; shift ;;
  esac
done
if [ -z "$folder" ]; then
  . cmake/apt_packages.sh
  radapt_install_packages build onednn io examples bench
  cmake --preset release
  cmake --build --preset release --target bench_model bench_load bench_ops
  folder=build/release/bench
fi
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

# run NAME [ARGUMENT...]: leaves NAME.json; what the program says meanwhile shows how far it is.
run() {
  local name=$1
  shift
  echo "=== bench_$name" >&2
  "$folder/bench_$name" --benchmark_min_time="$seconds" --benchmark_out="$report/$name.json" "$@" >&2
}
run model
run ops --benchmark_filter='/onednn/B_32'
run load

# Google Benchmark writes one member a line; a row ends with its brace.
awk -v busy="$busy" '
function value(line) { sub(/^[^:]*: */, "", line); sub(/,$/, "", line); gsub(/"/, "", line); return line }
function scaled(x) { return x >= 1e9 ? sprintf("%.1f G", x / 1e9) : x >= 1e6 ? sprintf("%.1f M", x / 1e6) : sprintf("%.1f", x) }
/^ *"name":/ { name = value($0); sub(/\/process_time/, "", name); sub(/\/real_time$/, "", name); at = ++rows; title[at] = name }
/^ *"real_time":/ { time[at] = real = value($0) + 0 }
/^ *"cpu_time":/ { if (busy) time[at] = value($0) + 0 }
/^ *"items_per_second":/ { items[at] = value($0) * real / time[at] }
/^ *"FLOP\/s":/ { flops[at] = value($0) * real / time[at]; if (name ~ /^roofline\// && flops[at] > roofline) roofline = flops[at] }
/^ *"(B|bytes)\/s":/ { bytes[at] = value($0) * real / time[at]; if (sub(/^read\//, "", name)) reading[name] = bytes[at] }
END {
  printf "\nroofline: %.1f GFLOP/s%s\n\n", roofline / 1e9, busy ? " of one thread, by its processor time" : ""
  printf "%-52s %10s %12s %12s %12s %9s\n", "", "ms", "items/s", "FLOP/s", "bytes/s", "share"
  for (i = 1; i <= rows; ++i) {
    share = ""
    if (i in flops) share = flops[i] / roofline
    if (sub(/^load\//, "", title[i])) { share = bytes[i] / reading[title[i]]; title[i] = "load/" title[i] }
    printf "%-52s %10.2f %12s %12s %12s %9s\n", title[i], time[i], (i in items) ? scaled(items[i]) : "",
           (i in flops) ? scaled(flops[i]) : "", (i in bytes) ? scaled(bytes[i]) : "", share == "" ? "" : sprintf("%.1f %%", 100 * share)
  }
}' "$report/model.json" "$report/ops.json" "$report/load.json"
