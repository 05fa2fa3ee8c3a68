#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Thousands of steps give the bits of an independent script, whatever the compiler and its flags: decay.cpp, compiled in
# several ways, prints the digests of tests/golden/decay.txt.   usage: decay.sh PROJECT COMPILER [CLANG]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
grep '^digest' "$1/tests/golden/decay.txt" >"$folder/expected"
programs=0 faults=0
try() {
  programs=$((programs + 1))
  "$@" -std=c++20 -I"$project/include" "$project/tests/determinism/decay.cpp" -o "$folder/decay"
  "$folder/decay" >"$folder/got"
  if ! diff "$folder/expected" "$folder/got"; then echo "$*: other bits" && faults=$((faults + 1)); fi
}
project=$1
try "$2" -O0
try "$2" -O2
try "$2" -O3 -march=native -ffp-contract=fast
if [ -n "${3:-}" ]; then
  try "$3" -O1
  try "$3" -O3 -march=native -ffp-contract=fast
fi
echo "decay: $programs programs, $faults faults"
[ "$faults" = 0 ]
