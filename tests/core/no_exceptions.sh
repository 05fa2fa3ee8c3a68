#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Without exceptions and type information: every header compiles but those that say why not, and a mistake ends the
# program with its text.   usage: no_exceptions.sh PROJECT COMPILER [FLAG...]
set -eu
project=$1 compiler=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { "$compiler" -std=c++20 -O1 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -I"$project/include" "$@"; }
fail() {
  echo "no_exceptions: $*"
  exit 1
}

cat >"$work/program.cpp" <<'END'
#include <frugal/backend/tbb.hpp>
#include <frugal/frugal.hpp>
#include <cstdio>
int main(int argc, char**) {
  std::vector<float> x(300, 1), g(300, 1);
  frugal::serial_backend cpu;
  frugal::lion opt(cpu, 300, {.lr = 0.5}, frugal::blockwise8{.min_size = 1});
  opt.step(x, g);
  frugal::mezo spsa(cpu, 300, {.lr = 0.01});
  spsa.step(x, [&] { return double(x[0] * x[0]); });
  std::printf("stepped to %g\n", double(x[299]));
  std::fflush(stdout);
  if (argc > 1) opt.step(x, std::vector<float>(299));
  std::printf("the end\n");
}
END
build "$@" "$work/program.cpp" -o "$work/program" -ltbb || fail 'the program does not compile'
said=$("$work/program") || fail 'the program fails'
case $said in *'the end') ;; *) fail "the program says: $said" ;; esac
if said=$("$work/program" mistake 2>&1); then fail "a mistake goes unnoticed: $said"; fi
case $said in
  *'frugal: gradient of vector: expected 300 elements, got 299'*) ;;
  *) fail "a mistake says: $said" ;;
esac
case $said in *'the end'*) fail 'the program goes on after a mistake' ;; esac

for header in comm/loopback comm/mpi interop/safetensors backend/emulated; do
  echo "#include <frugal/$header.hpp>" >"$work/header.cpp"
  if said=$(build -fsyntax-only "$work/header.cpp" 2>&1); then fail "$header.hpp compiles, which nobody promises"; fi
  case $said in *"frugal/$header.hpp needs exceptions"*) ;; *) fail "$header.hpp says: $said" ;; esac
done
echo 'no_exceptions: a program, a mistake, four headers'
