#!/usr/bin/env bash
# Sets up the machine, then builds and runs the tests: without an argument the stages gcc and fuzz.
# usage: tests/run.sh [gcc|clang|asan|fuzz|onednn3|all]...
#   gcc      every test, compiled by g++; the headers also by nvcc where there is one; the documentation, without a warning
#   clang    every test, compiled by clang++
#   asan     the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   fuzz     20 seconds of libFuzzer on every reader of files
#   onednn3  the unit tests with oneDNN 3, fetched from PyPI, in place of the system's
# The last line is `N passed, N failed`, summed over the stages; the exit code is 1 if anything failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
. cmake/apt_packages.sh

passed=0
failed=0
jobs=$(nproc)

fail_one() {
  echo "radapt: $1"
  failed=$((failed + 1))
}

# The number that the test suite in a JUnit report gives for tests, failures, skipped or disabled.
suite_count() { sed -n "s/^[[:space:]]*$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -1; }

# configure_build_test PRESET [CMAKE OPTION...]: what can be built and run is, even if something else fails. CTest counts a
# test whose executable could not be built as skipped; here it has failed. What a build option turns off is not counted.
configure_build_test() {
  local preset=$1 report=$PWD/build/$1/tests.xml generator=(-G Ninja) keep_going=(-k 0) built=yes tests failures
  shift
  if ! command -v ninja >/dev/null; then
    generator=(-G "Unix Makefiles")
    keep_going=(-k)
  fi
  if ! cmake --preset "$preset" "${generator[@]}" "$@"; then
    fail_one "configuring '$preset' failed"
    return
  fi
  cmake --build --preset "$preset" -j "$jobs" -- "${keep_going[@]}" || built=no
  rm -f "$report"
  ctest --preset "$preset" -j "$jobs" --output-junit "$report"
  [ -f "$report" ] || echo >"$report"
  tests=$(($(suite_count "$report" tests) - $(suite_count "$report" disabled)))
  failures=$(($(suite_count "$report" failures) + $(suite_count "$report" skipped)))
  failed=$((failed + failures))
  passed=$((passed + tests - failures))
  if [ "$tests" -eq 0 ]; then
    fail_one "'$preset' ran no test"
  elif [ "$built" = no ] && [ "$failures" -eq 0 ]; then
    fail_one "building '$preset' failed"
  fi
}

# oneDNN 3 comes from PyPI. Where that cannot be reached, what needs it is named in CTest's list of tests that did not run.
fetch_onednn3() {
  python3 -m pip --version >/dev/null 2>&1 || radapt_install_packages pip || return
  cmake/fetch_onednn3.sh build/fetched/onednn3
}

run_stage() {
  local stage=$1 preset=$1 groups=(build onednn io tests) options=() before=$SECONDS
  printf '\n=== %s\n' "$stage"
  case $stage in
    gcc)
      preset=dev
      groups+=(examples docs)
      options+=(-D CMAKE_CXX_COMPILER=g++ -D RADAPT_BUILD_DOCS=ON)
      ;;
    clang) groups+=(examples clang) ;;
    asan | fuzz) groups+=(clang) ;;
  esac
  if ! radapt_install_packages "${groups[@]}"; then
    fail_one "the packages of the stage '$stage' are not there"
  elif [ "$stage" = onednn3 ] && ! fetch_onednn3; then
    echo "radapt: the stage 'onednn3' is not run: oneDNN 3 could not be fetched"
  else
    configure_build_test "$preset" "${options[@]}"
  fi
  printf '=== %s took %d s\n' "$stage" $((SECONDS - before))
}

stages=()
[ $# -gt 0 ] || set -- gcc fuzz
for argument in "$@"; do
  case $argument in
    gcc | clang | asan | fuzz | onednn3) stages+=("$argument") ;;
    all) stages+=(gcc clang asan fuzz onednn3) ;;
    *)
      echo "usage: tests/run.sh [gcc|clang|asan|fuzz|onednn3|all]..." >&2
      exit 2
      ;;
  esac
done
for stage in "${stages[@]}"; do
  run_stage "$stage"
done
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
