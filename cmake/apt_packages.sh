# shellcheck shell=bash
# Debian packages that radapt needs, in one place. Sourced by scripts:
#   radapt_install_packages GROUP...    installs what is missing of the groups, as root or through sudo

radapt_packages() {
  case $1 in
    build) echo g++ cmake ninja-build ccache libeigen3-dev libxtensor-dev ;;
    onednn) echo libdnnl-dev ;;
    io) echo nlohmann-json3-dev libjpeg-dev libpng-dev libarchive-dev zlib1g-dev libutf8proc-dev ;;
    examples) echo libfmt-dev libcli11-dev ;;
    tests) echo doctest-dev pkg-config ;;
    clang) echo clang libclang-rt-dev ;;
    bench) echo libbenchmark-dev ;;
    docs) echo doxygen ;;
    pip) echo python3-pip ca-certificates ;;
    *) echo "radapt_packages: no group '$1'" >&2; return 1 ;;
  esac
}

radapt_install_packages() {
  local group package packages missing=() become=()
  for group in "$@"; do
    packages=$(radapt_packages "$group") || return 1
    for package in $packages; do
      dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if ! command -v apt-get >/dev/null; then
    echo "This machine has no apt-get; these Debian packages, or what they hold, are needed: ${missing[*]}" >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Packages are missing, and this is neither root nor is there sudo. As root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    become=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${become[@]}" apt-get -qq update </dev/null
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}
