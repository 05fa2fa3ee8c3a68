#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must not compile does not, and says why. A file here compiles as it is, and fails with each macro NAME of its
# comments "expect NAME: text" defined; then the compiler says the text.
#   run.sh INCLUDE_DIRECTORY COMPILER...
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
include=$1
shift
tested=0 faults=0
fault() {
  echo "$*"
  faults=$((faults + 1))
}
for compiler; do
  [ -n "$compiler" ] || continue  # there is no second one
  set -- "$compiler" -std=c++20 -I"$include"
  # prelude.hpp is read once, and found before the one here.
  "$@" -x c++-header prelude.hpp -o "$folder/prelude.hpp.gch"
  cp prelude.hpp "$folder/prelude.hpp"
  case $("$compiler" --version) in *clang*) prelude="-include $folder/prelude.hpp" ;; *) prelude= ;; esac
  for file in *.cpp; do
    cp "$file" "$folder/$file"
    with=
    if grep -q '"prelude.hpp"' "$file"; then with=$prelude; fi
    # shellcheck disable=SC2086
    "$@" $with -fsyntax-only "$folder/$file" || fault "$file does not compile as it is"
    names=$(sed -n 's|^// expect \([A-Z0-9_]*\): .*|\1|p' "$file")
    for name in $names; do  # what is before the first of them, and its own part
      expected=$(sed -n "s|^// expect $name: ||p" "$file")
      tested=$((tested + 1))
      awk -v name="$name:" '/^\/\/ expect / { seen = 1; mine = $3 == name } !seen || mine' "$file" >"$folder/$file"
      # shellcheck disable=SC2086
      if text=$("$@" $with -fsyntax-only "-D$name" "$folder/$file" 2>&1); then fault "$file: $name compiles"
      else
        case $text in
          *"$expected"*) ;;
          *) printf '%s\n' "$text" && fault "$file: $name fails, but not with: $expected" ;;
        esac
      fi
    done
  done
done
echo "compile_fail: $tested mistakes, $faults faults"
[ "$tested" -gt 0 ] && [ "$faults" = 0 ]
