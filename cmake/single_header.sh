#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes frugal/frugal.hpp, and what it includes, as one file.
#   single_header.sh OUTPUT [HEADER...]     HEADER, frugal/backend/tbb.hpp for instance, goes in as well
set -eu
[ $# -gt 0 ] || { echo "usage: single_header.sh OUTPUT [HEADER...]" >&2 && exit 2; }
output=$1
shift
include=$(CDPATH='' cd -- "$(dirname -- "$0")/../include" && pwd)
fresh=$output.$$
trap 'rm -f "$fresh"' EXIT

awk -v include="$include" -v roots="frugal/frugal.hpp $*" '
function fail(text) {
  print "single_header.sh: " text | "cat >&2"
  failed = 1
  exit 1
}
function resolved(path) {  # a/b/../c is a/c
  while (sub(/[^\/]+\/\.\.\//, "", path)) {}
  return path
}
# A header, where it is included for the first time, or each time where it does not say once. What is included under a
# condition stays there; what the standard has goes to the top.
function add(name, under_condition,    path, line, what, depth, lines) {
  path = include "/" name
  if (name in once) return
  body[++size] = "// ---- " name
  lines = 0
  depth = under_condition
  while ((getline line < path) > 0) {
    lines++
    if (line ~ /^\/\/ SPDX-/) continue
    if (line ~ /^#pragma once/) {
      if (under_condition) fail(name " is included under a condition, and no more where there is none")
      once[name] = 1
      continue
    }
    if (line ~ /^ *# *if/) depth++
    if (line ~ /^ *# *endif/) depth--
    what = line
    if (sub(/^ *# *include *"/, "", what) && sub(/".*/, "", what)) {
      sub(/[^\/]*$/, what, name)
      add(resolved(name), depth)
      name = substr(path, length(include) + 2)
      continue
    }
    what = line
    if (depth == 0 && sub(/^ *# *include *</, "", what) && sub(/>.*/, "", what)) {
      if (what ~ /^[a-z_]+$/) standard[what] = 1
      else if (!(what in included)) body[++size] = line
      included[what] = 1
      continue
    }
    body[++size] = line
  }
  if (lines == 0) fail("there is no " path)
  close(path)
}
BEGIN {
  count = split(roots, root, " ")
  path = include "/frugal/version.hpp"
  while ((getline line < path) > 0)
    if (split(line, word, " ") == 3 && word[2] ~ /^FRUGAL_VERSION_M|^FRUGAL_VERSION_P/)
      version = version (version == "" ? "" : ".") word[3]
  close(path)
  for (i = 1; i <= count; i++) add(root[i], 0)
  names = 0
  for (name in standard) {  # into order
    for (i = ++names; i > 1 && sorted[i - 1] > name; i--) sorted[i] = sorted[i - 1]
    sorted[i] = name
  }
  print "// SPDX-License-Identifier: Apache-2.0"
  print "/// @file frugal " version " in one file, made by cmake/single_header.sh. It holds, and what they need:"
  for (i = 1; i <= count; i++) print "///   " root[i]
  print "#pragma once"
  print "#if defined(FRUGAL_VERSION)"
  print "#error \"frugal: other headers of it were included before this single header, which takes the place of all\""
  print "#endif"
  for (i = 1; i <= names; i++) print "#include <" sorted[i] ">"
  for (i = 1; i <= size; i++) print body[i]
  print "#define FRUGAL_SINGLE_HEADER 1"
}
END { exit failed }
' >"$fresh"
mv "$fresh" "$output"
