#!/usr/bin/env bash
# Fetches oneDNN 3 from PyPI, for machines whose distribution has oneDNN 2: usage: cmake/fetch_onednn3.sh FOLDER
#   FOLDER         an install prefix with oneDNN 3.2 and its OpenMP runtime; use it with -D RADAPT_ONEDNN_ROOT=FOLDER
#   FOLDER/newest  the headers of a current oneDNN, without a library for plain CPUs; to compile against
# Does nothing if they are there. Needs pip and about 40 MB of download.
set -euo pipefail
folder=${1:?usage: cmake/fetch_onednn3.sh FOLDER}
[ -f "$folder/complete" ] && exit 0

if ! python3 -m pip --version >/dev/null 2>&1; then
  echo "fetch_onednn3: python3 with pip is needed (Debian: apt-get install python3-pip)" >&2
  exit 1
fi
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

# unpack PREFIX PACKAGE: the files that the wheel would install, below PREFIX.
unpack() {
  python3 -m pip --quiet download --retries 1 --no-deps --dest "$wheels/$2" "$2"
  python3 -m zipfile -e "$wheels/$2"/*.whl "$wheels/$2/unpacked"
  mkdir -p "$1"
  cp -R "$wheels/$2"/unpacked/*.data/data/* "$1/"
}
rm -rf "$folder"
unpack "$folder" onednn-devel-cpu-gomp==2023.2.0
unpack "$folder" onednn-cpu-gomp==2023.2.0
unpack "$folder/newest" onednn-devel==2026.1.0
touch "$folder/complete"
echo "oneDNN 3 is in $folder"
