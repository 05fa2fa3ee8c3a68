#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C++ of the pages compiles as it stands there. A page is a scope: its blocks follow each other, and have the names of
# prelude.hpp besides. A word behind ```cpp is what a block needs: without it among HAVE the block is left out. Nobody has
# those of a device's compiler (cuda, hip), of torch, whose headers are dear, and the fragments, which are parts of a class.
#   run.sh PROJECT COMPILER HAVE [FLAG...]     HAVE: "mpi openmp", for instance
set -eu
prelude=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/prelude.hpp
cd "$1"
compiler=$2 have=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of a page comes what it includes; then classes, templates and functions; then statements. Each block is within the one
# before it: it sees that one's names, and may use them again.
awk -v have=" $have " -v work="$work/" '
  function at(line) { return "#line " line " \"" page "\"\n" }
  function fault(text) { print text >(work "faults") }
  function end_page(    name) {
    if (page == "") return
    if (fence != "") fault(page ":" first - 1 ": a fence without an end")
    name = page
    if (sub(/^docs\/algorithms\//, "", name) && sub(/\.md$/, "", name) &&
        (outside inside) !~ ("frugal::" name "[^a-z0-9_]")) fault(page " has no example of frugal::" name " that is compiled")
    name = page
    gsub(/[^a-zA-Z0-9]/, "_", name)
    print "namespace reader::" name " {\n" outside "void statements() {\n" inside >(work "pages")
    while (blocks-- > 0) printf "}" >(work "pages")
    print "}\n}" >(work "pages")
  }
  function end_block() {
    if (block ~ /^\n*(template|struct|class|inline|int main)/) outside = outside "namespace next {\n" at(first) block instances
    else inside = inside "{\n" at(first) block
    ++blocks
    print page ":" first - 1 >(work "compiled")
  }
  FNR == 1 {
    end_page()
    page = FILENAME
    blocks = 0
    fence = outside = inside = ""
  }
  /^ *```/ && fence != "" {
    if (fence == "cpp") end_block()
    fence = ""
    next
  }
  /^ *```/ {
    fence = $1 == "```cpp" && (NF == 1 || index(have, " " $2 " ")) ? "cpp" : "other"
    if (fence == "other" && $1 == "```cpp") {
      print "left out: " page ":" FNR ", " $2 >(work "left_out")
      if (!index(" cuda dlpack fragment hip mpi openmp thrust torch ", " " $2 " ")) fault(page ":" FNR ": what is " $2 "?")
    }
    first = FNR + 1
    block = instances = before = ""
    next
  }
  fence != "cpp" { next }
  /^#include/ {
    print at(FNR) $0 >(work "includes")
    $0 = ""
  }
  before == "template <class Comm>" {  # nobody looks into a template that is not used
    line = $0
    sub(/Comm& /, "frugal::loopback_comm\\& ", line)
    sub(/ \{$/, ";", line)
    instances = instances at(FNR) "template " line "\n"
  }
  {
    block = block $0 "\n"
    before = $0
  }
  END { end_page() }' README.md docs/*.md docs/algorithms/*.md

touch "$work/faults" "$work/left_out"
{ cat "$work/includes" && echo "#include \"$prelude\"" && cat "$work/pages"; } >"$work/pages.cpp"
cat "$work/left_out" "$work/faults"
"$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Wno-unused -Wno-unknown-pragmas -Wno-return-type -Iinclude "$@" "$work/pages.cpp"
echo "docs: $(wc -l <"$work/compiled") blocks compile, $(wc -l <"$work/left_out") left out"
[ ! -s "$work/faults" ]
