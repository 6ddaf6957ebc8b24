#!/bin/sh
# Checks that radapt/radapt.hpp brings every header that needs no optional library, and no other.
# usage: umbrella.sh [FOLDER THAT HOLDS radapt/]
# Such headers are all but those of backend/, io/, test/ and clip/tokenizer/, and those that reach io/ through their includes.
set -eu
cd "${1:-$(dirname "$0")/../../include}"

find radapt -name '*.hpp' | LC_ALL=C sort | awk '
{ files[++count] = $0 }
# Whether FILE includes PLACE or something below it, directly or through others. Includes form no cycle: include_rule.sh.
function reaches(file, place,    n, i, list) {
  if (index(file, place) == 1) return 1
  if ((file, place) in known) return known[file, place]
  n = split(includes[file], list, " ")
  known[file, place] = 0
  for (i = 1; i <= n; ++i)
    if (reaches(list[i], place)) { known[file, place] = 1; break }
  return known[file, place]
}
function visit(file,    n, i, list) {
  if (brought[file]++) return
  n = split(includes[file], list, " ")
  for (i = 1; i <= n; ++i) visit(list[i])
}
END {
  for (f = 1; f <= count; ++f)
    while ((getline line < files[f]) > 0)
      if (line ~ /^[ \t]*#[ \t]*include[ \t]*"radapt\//) {
        sub(/^[^"]*"/, "", line); sub(/".*/, "", line)
        includes[files[f]] = includes[files[f]] " " line
      }
  umbrella = "radapt/radapt.hpp"
  if (!(umbrella in includes)) { print umbrella " includes nothing"; exit 1 }
  visit(umbrella)
  for (f = 1; f <= count; ++f) {
    file = files[f]
    free = file ~ /^radapt\/backend\/run.hpp$/ || (file !~ /^radapt\/(backend|io|test|clip\/tokenizer)\// && !reaches(file, "radapt/io/"))
    if (free && !brought[file]) { print file ": needs no optional library; include it in " umbrella; ++wrong }
    if (!free && brought[file]) { print file ": is brought by " umbrella ", which may not need it"; ++wrong }
    total += brought[file]
  }
  if (!wrong) print umbrella " brings every header that needs no optional library"
  exit wrong > 0
}'
