#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must not compile does not, and says why: each file here fails with the text after "expect:" in its first line; with
# -DCONTROL, which leaves the mistake out, it compiles.   usage: run.sh COMPILER INCLUDE_DIRECTORY
set -eu
cd "$(dirname "$0")"
tested=0 faults=0
fault() {
  echo "$*"
  faults=$((faults + 1))
}
for file in *.cpp; do
  expected=$(sed -n '1s/^.*expect: //p' "$file")
  [ -n "$expected" ] || { fault "$file: no 'expect:' in its first line" && continue; }
  tested=$((tested + 1))
  "$1" -std=c++20 -fsyntax-only -I"$2" -DCONTROL "$file" || fault "$file: the control does not compile"
  if text=$("$1" -std=c++20 -fsyntax-only -I"$2" "$file" 2>&1); then fault "$file: compiles"
  else
    case $text in
      *"$expected"*) ;;
      *) printf '%s\n' "$text" && fault "$file: fails, but not with: $expected" ;;
    esac
  fi
done
echo "compile_fail: $tested files, $faults faults"
[ "$tested" -gt 0 ] && [ "$faults" = 0 ]
