#!/usr/bin/env bash
# Sets up the machine, builds the examples for its processor and runs the quick start. Arguments go to the quick start.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/apt_packages.sh
radapt_install_packages build onednn io examples

generator=(-G Ninja)
command -v ninja >/dev/null || generator=(-G "Unix Makefiles")
# Another compiler may warn of other things; that is no reason not to run.
cmake --preset release "${generator[@]}" -D RADAPT_BUILD_BENCH=OFF -D RADAPT_WARNINGS_AS_ERRORS=OFF >/dev/null
cmake --build --preset release -j "$(nproc)" --target example_quickstart
exec build/release/examples/quickstart "$@"
