#!/bin/sh
# Checks which folder of include/radapt may include which. usage: include_rule.sh [FOLDER THAT HOLDS radapt/]
# Prints every violation as FILE:LINE: SENTENCE and ends with 1, or prints one line with what was read and ends with 0.
set -eu
include_dir=${1:-$(dirname "$0")/../../include}
cd "$include_dir"

find radapt -name '*.hpp' -o -name '*.cuh' -o -name '*.cu' | LC_ALL=C sort | awk '
# The rule. Left: a folder, or a prefix of a file name in it. Right: what it may include. The longest left side decides.
BEGIN {
  allow("core",            "core")
  allow("op",              "core op")
  allow("backend",         "core op backend")
  allow("layer",           "core op layer backend/run.hpp")
  allow("adapter",         "core op layer backend/run.hpp train/progress.hpp adapter")
  allow("clip",            "core op layer backend/run.hpp train/progress.hpp adapter clip")
  allow("adapter/matching", "core adapter train/progress.hpp")
  allow("clip/transfer",   "core op layer backend/run.hpp adapter clip train/progress.hpp")
  allow("clip/tokenizer",  "core op layer backend/run.hpp adapter clip io")
  allow("clip/preprocess", "core op layer backend/run.hpp adapter clip io")
  allow("loss",            "core op layer backend/run.hpp loss")
  allow("ensemble",        "core op layer backend/run.hpp train/progress.hpp adapter clip ensemble")
  allow("train",           "core op layer backend/run.hpp adapter clip loss ensemble train io")
  allow("task",            "core op layer backend/run.hpp adapter clip loss ensemble train/progress.hpp io task")
  allow("task/feature_recipes", "loss train task")
  allow("test",            "core op layer backend/run.hpp backend/reference test")
  allow("io",              "core clip adapter ensemble io")
}
function allow(left, right) { allowed[left] = right " version.hpp" }

# The left side that decides for the file PATH below radapt/, or nothing.
function rule_of(path,    left, best) {
  best = ""
  for (left in allowed)
    if (index(path, left) == 1 && (left ~ /\// || substr(path, length(left) + 1, 1) == "/") && length(left) > length(best)) best = left
  return best
}
function may_include(right, path,    names, n, i) {
  n = split(right, names, " ")
  for (i = 1; i <= n; ++i)
    if (path == names[i] || index(path, names[i] "/") == 1) return 1
  return 0
}
function report(where, sentence) { print where ": " sentence; ++violations }

# Depth first; a file that is met again while it is open closes a cycle.
function visit(file, trail,    n, i, list) {
  if (state[file] == "closed") return
  if (state[file] == "open") { report(file, "includes itself:" trail " " file); return }
  state[file] = "open"
  n = split(edges[file], list, " ")
  for (i = 1; i <= n; ++i) visit(list[i], trail " " file)
  state[file] = "closed"
}

{ file = $0; files[++file_count] = file; exists[file] = 1 }

END {
  for (f = 1; f <= file_count; ++f) {
    file = files[f]; path = substr(file, length("radapt/") + 1); line_number = 0
    free = (path == "radapt.hpp" || path == "version.hpp")
    rule = rule_of(path)
    if (!free && rule == "") report(file, "no rule for this folder; add a line to tests/structure/include_rule.sh")
    while ((getline line < file) > 0) {
      where = file ":" ++line_number
      if (line ~ /dnnl|DNNL/ && path !~ /^backend\/onednn\//) report(where, "mentions dnnl; only backend/onednn/ may")
      if (line !~ /^[ \t]*#[ \t]*include/) continue
      ++include_count
      quoted = line ~ /include[ \t]*"/
      name = line; sub(/^[^"<]*["<]/, "", name); sub(/[">].*/, "", name)
      if (name !~ /^radapt\//) {
        if (quoted) report(where, "\"" name "\": write the path from include/, \"radapt/...\"")
        else if (path ~ /^(core|op|layer)\// && name ~ /[.\/]/) report(where, "<" name "> in core, op or layer, which know the standard library only")
        continue
      }
      if (!quoted) report(where, "<" name ">: headers of radapt include each other in quotes")
      if (!(name in exists)) { report(where, name " does not exist"); continue }
      edges[file] = edges[file] " " name
      if (name == "radapt/radapt.hpp") report(where, "includes the umbrella; only users do")
      else if (!free && rule != "" && !may_include(allowed[rule], substr(name, length("radapt/") + 1)))
        report(where, "includes " name "; " rule " may include: " allowed[rule])
    }
    close(file)
  }
  for (f = 1; f <= file_count; ++f) visit(files[f], "")
  if (!file_count) report("radapt", "holds no header")
  if (!violations) print file_count " headers with " include_count " includes keep the include rule"
  exit violations > 0
}'
