# What the tests of the example programs share; sourced by tests/examples/NAME.sh, which CTest calls as
#   bash NAME.sh PROGRAMS SHARED WORK
# PROGRAMS holds the executables, SHARED the fixtures and data, WORK is emptied and becomes the current folder.
set -euo pipefail
programs=$1 shared=$2 work=$3

die() {
  echo "FAILED: $*"
  [ ! -s out.txt ] || { echo "--- printed:" && tail -n 30 out.txt; }
  [ ! -s err.txt ] || { echo "--- error stream:" && tail -n 10 err.txt; }
  exit 1
}

for needed in fixtures/tiny_clip_vocab49408 data/pacs data/clip_bpe; do
  [ -d "$shared/$needed" ] || { echo "FAILED: RADAPT_SHARED=$shared holds no $needed, without which the programs are not tested"; exit 1; }
done
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# run NAME ARGUMENT...: the program must succeed; what it prints is in out.txt and err.txt.
run() {
  local name=$1 code=0
  shift
  "$programs/$name" "$@" >out.txt 2>err.txt || code=$?
  [ "$code" = 0 ] || die "$name $* ended with exit code $code"
}

# refuses 'REGEX' NAME ARGUMENT...: the program must end with code 1 and one message that matches, and leave nothing in its folder.
refuses() {
  local pattern=$1 name=$2 code=0
  shift 2
  rm -rf refused
  mkdir refused
  (cd refused && "$programs/$name" "$@" >../out.txt 2>../err.txt) || code=$?
  [ "$code" = 1 ] || die "$name $* should end with exit code 1, not $code"
  [ "$(grep -c '^radapt: ' err.txt)" = 1 ] || die "$name $* should print one message"
  grep '^radapt: ' err.txt | grep -qE -- "$pattern" || die "the message of $name $* should match '$pattern'"
  [ -z "$(ls -A refused)" ] || die "$name $* left something behind: $(ls -A refused)"
}

# has FILE 'REGEX': some line of the file matches.
has() {
  [ -s "$1" ] || die "$1 is missing or empty"
  grep -qE -- "$2" "$1" || die "no line of $1 matches '$2'"
}
# has_not FILE 'REGEX': no line of the file matches.
has_not() {
  [ -s "$1" ] || die "$1 is missing or empty"
  ! grep -E -- "$2" "$1" || die "a line of $1 matches '$2'"
}
# count_is FILE 'REGEX' N: exactly N lines match.
count_is() {
  local found
  found=$(grep -cE -- "$2" "$1") || true
  [ "$found" = "$3" ] || die "$found lines of $1 match '$2', not $3"
}

# is_png FILE: it begins as a PNG does and ends with its last chunk.
is_png() {
  [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || die "$1 is no PNG"
  [ "$(tail -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 49454e44ae426082 ] || die "$1 is a PNG without its end"
}

# is_report FILE CHARTS PICTURES ROW...: one whole page with at least that many charts and pictures, and a table row for every name.
is_report() {
  local file=$1 charts=$2 pictures=$3 row
  shift 3
  [ "$(head -n 1 "$file")" = '<!DOCTYPE html>' ] || die "$file does not begin as a page"
  [ "$(tail -n 1 "$file")" = '</html>' ] || die "$file does not end as a page"
  [ "$(grep -o '<svg' "$file" | wc -l)" -ge "$charts" ] || die "$file has fewer than $charts charts"
  [ "$(grep -o '<svg' "$file" | wc -l)" = "$(grep -o '</svg>' "$file" | wc -l)" ] || die "$file has a chart without an end"
  [ "$(grep -o 'src="data:image/png;base64,' "$file" | wc -l)" -ge "$pictures" ] || die "$file has fewer than $pictures pictures"
  for row in "$@"; do has "$file" "<th scope=\"row\">$row</th><td"; done
  has_not "$file" '<td[^>]*>-?(nan|inf)'
  if [ "$pictures" != 0 ]; then
    grep -o 'src="data:image/png;base64,[^"]*' "$file" | sed -n '1s/.*,//p' | base64 -d >picture.png || die "a picture of $file is no base64"
    is_png picture.png
  fi
}

# is_chart FILE 'TEXT'...: one SVG that holds the texts.
is_chart() {
  local file=$1 text
  shift
  has "$file" '^<svg '
  [ "$(tail -n 1 "$file")" = '</svg>' ] || die "$file does not end as a chart"
  for text in "$@"; do has "$file" "$text"; done
  has_not "$file" '="-?(nan|inf)'
}

# is_npy FILE ROWS COLUMNS: a float32 table of that shape, whole, and not all zero.
is_npy() {
  [ "$(head -c 6 "$1" | tail -c 5)" = NUMPY ] || die "$1 is no .npy file"
  head -c 128 "$1" | grep -aqF "'descr': '<f4'" || die "$1 does not hold float32"
  head -c 128 "$1" | grep -aqF "'shape': ($2, $3)" || die "$1 does not have the shape ($2, $3)"
  [ "$(($(stat -c %s "$1") - $2 * $3 * 4))" = 128 ] || die "$1 has $(stat -c %s "$1") bytes"
  [ "$(tail -c +129 "$1" | tr -d '\0' | wc -c)" -gt 0 ] || die "$1 holds zeros only"
}
