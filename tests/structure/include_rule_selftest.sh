#!/bin/sh
# Proves that include_rule.sh can fail: plants one violation of each kind in a small tree and requires its report.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

fresh_tree() {
  rm -rf "$tree/radapt"
  mkdir -p "$tree/radapt/core" "$tree/radapt/op" "$tree/radapt/layer" "$tree/radapt/clip" "$tree/radapt/io" "$tree/radapt/backend/onednn"
  echo '#include <vector>' >"$tree/radapt/core/shape.hpp"
  printf '#include "radapt/core/shape.hpp"\n#include "radapt/version.hpp"\n' >"$tree/radapt/op/linear.hpp"
  echo '#include "radapt/op/linear.hpp"' >"$tree/radapt/backend/run.hpp"
  echo '#include <oneapi/dnnl/dnnl.hpp>' >"$tree/radapt/backend/onednn/engine.hpp"
  echo '#include "radapt/backend/run.hpp"' >"$tree/radapt/layer/linear.hpp"
  echo '#include "radapt/core/shape.hpp"' >"$tree/radapt/io/file.hpp"
  echo '#include "radapt/io/file.hpp"' >"$tree/radapt/clip/tokenizer_files.hpp"
  echo '#include "radapt/layer/linear.hpp"' >"$tree/radapt/radapt.hpp"
  echo '#define RADAPT_VERSION 1' >"$tree/radapt/version.hpp"
}

# expect FILE LINE REPORT: after LINE is appended to FILE, the check must fail and print FILE:...: REPORT.
expect() {
  fresh_tree
  mkdir -p "$tree/radapt/$(dirname "$1")"
  echo "$2" >>"$tree/radapt/$1"
  if report=$(sh "$here/include_rule.sh" "$tree"); then
    echo "not reported: '$2' in $1"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$report" | grep -F "radapt/$1" | grep -qF "$3"; then
    printf "'%s' in %s must be reported with '%s', got:\n%s\n" "$2" "$1" "$3" "$report"
    failures=$((failures + 1))
  fi
}

fresh_tree
sh "$here/include_rule.sh" "$tree" || { echo "a tree that keeps the rule is refused"; failures=$((failures + 1)); }

expect core/shape.hpp '#include "radapt/op/linear.hpp"' 'core may include'
expect core/shape.hpp '# include <Eigen/Dense>' 'standard library only'
expect op/linear.hpp '#include <xtensor/xtensor.hpp>' 'standard library only'
expect layer/linear.hpp '#include "radapt/backend/onednn/engine.hpp"' 'layer may include'
expect layer/linear.hpp '#include "linear.hpp"' 'write the path from include/'
expect layer/linear.hpp '#include <radapt/core/shape.hpp>' 'in quotes'
expect layer/linear.hpp '#include "radapt/radapt.hpp"' 'umbrella'
expect layer/linear.hpp '#include "radapt/core/absent.hpp"' 'does not exist'
expect backend/run.hpp '#include "radapt/layer/linear.hpp"' 'backend may include'
expect backend/run.hpp 'dnnl::engine engine;' 'mentions dnnl'
expect clip/model.hpp '#include "radapt/io/file.hpp"' 'clip may include'
expect io/file.hpp '#include "radapt/clip/tokenizer_files.hpp"' 'includes itself'
expect another/file.hpp '#include <vector>' 'no rule for this folder'
if sh "$here/include_rule.sh" "$here" >/dev/null 2>&1; then
  echo "a folder without headers is accepted"
  failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] || exit 1
echo "every planted violation is reported"
