#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The library compiles for AArch64 and, where an emulator of that processor is found, gives the bits that it gives
# here.   usage: aarch64.sh PROJECT COMPILER
set -eu
project=$1 here=$2 there=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '#include <vector>
int main() {}' >"$work/empty.cpp"
for candidate in aarch64-linux-gnu-g++ 'clang++ --target=aarch64-linux-gnu -fuse-ld=lld -Qunused-arguments' \
  'clang++-14 --target=aarch64-linux-gnu -fuse-ld=lld-15 -Qunused-arguments'; do
  if $candidate -static "$work/empty.cpp" -o "$work/empty" 2>/dev/null; then there=$candidate && break; fi
done
[ -n "$there" ] || {
  echo 'aarch64: no compiler (Debian: clang, lld-15, libstdc++-12-dev-arm64-cross, libc6-dev-arm64-cross)'
  exit 77
}
flags="-std=c++20 -Wall -Wextra -Werror -I$project/include"
echo '#include <frugal/frugal.hpp>' >"$work/umbrella.cpp"
# shellcheck disable=SC2086
$there $flags -fsyntax-only "$work/umbrella.cpp"
run=
for candidate in qemu-aarch64 qemu-aarch64-static; do
  if command -v $candidate >/dev/null; then run=$candidate && break; fi
done
[ -n "$run" ] || { echo 'aarch64: compiled; not run, for there is no qemu-aarch64 (Debian: qemu-user)' && exit 0; }
program=$project/tests/core/portable_bits.cpp
# shellcheck disable=SC2086
$there $flags -O2 -ffp-contract=fast -static "$program" -o "$work/there"
# shellcheck disable=SC2086
"$here" $flags -O1 "$program" -o "$work/here"
"$run" "$work/there" >"$work/there.txt"
"$work/here" >"$work/here.txt"
diff "$work/here.txt" "$work/there.txt" || { echo 'aarch64: other bits' && exit 1; }
echo "aarch64: compiled, and $(wc -l <"$work/here.txt") digests are those of this processor"
