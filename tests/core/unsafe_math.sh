#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What docs/determinism.md says of fast math. Options that break the bits are refused by the headers, where the compiler
# tells of them; where it does not (clang before 15) and no instruction for fused multiply-add is at hand, the self-test
# of the random format does not let a program start.   usage: unsafe_math.sh INCLUDE_DIRECTORY COMPILER...
set -eu
[ "$(uname -m)" = x86_64 ] || { echo 'other processors always fuse by instruction' && exit 77; }
include=$1
shift
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
echo '#include <frugal/core/macros.hpp>' >"$folder/header.cpp"
cat >"$folder/mode.cpp" <<'END'
#include <xmmintrin.h>
int main() { return (_mm_getcsr() & 0x8040) != 0; }
END
faults=0 tried=0
fault() {
  echo "$*"
  faults=$((faults + 1))
}
starts() { # the program runs
  tried=$((tried + 1))
  if ! "$@" "$folder/program.cpp" -o "$folder/program" || ! "$folder/program"; then fault "$* does not run"; fi
}
refused() { # by the headers
  tried=$((tried + 1))
  if said=$("$@" -fsyntax-only "$folder/header.cpp" 2>&1); then said=nothing; fi
  case $said in
    *'error'*'frugal: '*) ;;
    *) fault "$*: $said" ;;
  esac
}
stopped() { # by the self-test
  tried=$((tried + 1))
  "$@" "$folder/program.cpp" -o "$folder/program"
  if said=$("$folder/program"); then said=nothing; fi
  case $said in
    *frugal:*-funsafe-math-optimizations*) ;;
    *) fault "$*: $said" ;;
  esac
}
for compiler; do
  set -- "$compiler" -std=c++20 -I"$include"
  case $("$compiler" --version) in
    *clang*)
      version=$("$compiler" -dumpversion)
      if [ "${version%%.*}" -ge 15 ]; then part=refused; else part=stopped; fi
      ;;
    *)
      part=refused
      refused "$@" -freciprocal-math
      refused "$@" -mfpmath=387
      # Linking, too, must go without it: it sets the processor's mode for the whole program.
      "$compiler" -O2 "$folder/mode.cpp" -o "$folder/mode"
      "$folder/mode" || fault "$compiler: subnormal numbers are flushed without any option"
      "$compiler" -O2 -c "$folder/mode.cpp" -o "$folder/mode.o"
      "$compiler" -ffast-math "$folder/mode.o" -o "$folder/mode"
      if "$folder/mode"; then fault "$compiler -ffast-math, at the link: the mode is not set"; fi
      ;;
  esac
  starts "$@" -O1
  starts "$@" -O2 -ffp-contract=fast
  refused "$@" -ffast-math
  refused "$@" -Ofast
  $part "$@" -O2 -funsafe-math-optimizations
  $part "$@" -O2 -fassociative-math -fno-signed-zeros -fno-trapping-math
done
echo "unsafe_math: $tried tried, $faults faults"
[ "$faults" = 0 ]
