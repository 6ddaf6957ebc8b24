#!/bin/sh
# Checks that docs/concepts.md names every public concept together with the header that defines it, and no other.
# usage: concepts_page.sh ROOT OF THE PROJECT
set -eu
cd "${1:-$(dirname "$0")/../..}"
{
  find include/radapt -name '*.hpp' | LC_ALL=C sort
  echo docs/concepts.md
} | awk '
function report(sentence) { print sentence; ++wrong }
{
  file = $0; hidden = 0
  while ((getline line < file) > 0) {
    if (file ~ /\.md$/) {
      if (split(line, cell, "|") > 4 && match(cell[2], /`([a-z]*::)*[a-z_]+</)) {
        name = substr(cell[2], RSTART + 1, RLENGTH - 2); sub(/.*::/, "", name)
        header = cell[3]; gsub(/[ `]/, "", header)
        listed[name] = header
      }
      continue
    }
    # Namespaces are closed with a comment that names them.
    if (line ~ /^namespace [a-z_:]*detail[a-z_:]* \{/) hidden = 1
    if (line ~ /^}  \/\/ namespace [a-z_:]*detail/) hidden = 0
    if (!hidden && match(line, /^ *concept [a-z_]+/)) {
      name = substr(line, RSTART, RLENGTH); sub(/^ *concept /, "", name)
      header = file; sub(/^include\/radapt\//, "", header)
      defined[name] = header; ++count
    }
  }
  close(file)
}
END {
  for (name in defined)
    if (listed[name] != defined[name])
      report("docs/concepts.md: the concept " name " of " defined[name] " is " (listed[name] == "" ? "not listed" : "listed as one of " listed[name]))
  for (name in listed)
    if (listed[name] != "" && !(name in defined)) report("docs/concepts.md: lists " name ", which no header defines")
  if (!count) report("no concept was found")
  if (!wrong) print "docs/concepts.md lists all " count " public concepts"
  exit wrong > 0
}'
