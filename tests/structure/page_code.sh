#!/bin/sh
# Compiles the C++ of a page: all blocks of it, one behind the other, as one source.
# usage: page_code.sh PAGE COMPILER FILE OF FLAGS
set -eu
page=$1 compiler=$2 flags=$3
source=$(mktemp -d)/page.cpp
trap 'rm -r "$(dirname "$source")"' EXIT
# The compiler counts lines as the page does.
awk -v page="$page" '
/^```/ { inside = 0 }
inside { print }
/^```cpp$/ { inside = 1; print "#line " NR + 1 " \"" page "\"" }' "$page" >"$source"
[ -s "$source" ] || { echo "$page holds no C++"; exit 1; }
"$compiler" "@$flags" "$source"
