#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program compiled with unsafe arithmetic does not start: the compiler's macros give it away, or, where there are none
# (clang before 15) and no instruction for fused multiply-add is at hand, the self-test of the random format does.
#   unsafe_math.sh COMPILER INCLUDE_DIRECTORY
set -eu
[ "$(uname -m)" = x86_64 ] || { echo 'other processors always fuse by instruction' && exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.cpp" <<'END'
#include <frugal/backend/serial.hpp>
#include <frugal/core/random_format.hpp>
#include <cstdio>
int main() {
  try {
    frugal::require_random_format(frugal::serial_backend{});
  } catch (frugal::random_format_error const& e) {
    std::puts(e.what());
    return 3;
  }
}
END
faults=0
for flags in -O1 '-O2 -ffp-contract=fast'; do
  # shellcheck disable=SC2086
  "$1" -std=c++20 $flags -I"$2" "$folder/program.cpp" -o "$folder/program"
  "$folder/program" || faults=$((faults + 1))
done
for flags in '-O2 -funsafe-math-optimizations' '-O2 -fassociative-math -fno-signed-zeros -fno-trapping-math'; do
  # shellcheck disable=SC2086
  if said=$("$1" -std=c++20 $flags -I"$2" "$folder/program.cpp" -o "$folder/program" 2>&1); then
    if said=$("$folder/program"); then said="nothing"; fi
  fi
  case $said in
    *frugal:*-funsafe-math-optimizations*) ;;
    *) echo "$flags: $said" && faults=$((faults + 1)) ;;
  esac
done
echo "unsafe_math: $faults faults"
[ "$faults" = 0 ]
