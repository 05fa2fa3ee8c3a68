#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the kernels of each device file take, against the budgets in registers.txt: registers, bytes of shared memory;
# nothing may be spilled and no scratch memory used. A kernel is known by its functor and the first of what that is made
# of. CUDA's figures are those of the assembler (build_meter.sh), HIP's those that the code in an object says of itself.
# usage: registers.sh cuda|hip COMPILER_VERSION OBJECTS ARCHITECTURES [--update]
#   OBJECTS: a file that lists the object files, one a line; ARCHITECTURES: of HIP
# HIP's code is read by BUNDLER and READELF, clang-offload-bundler and llvm-readelf of the compiler's version.
# --update writes the figures of this vendor into registers.txt, and leaves those of the other. Exit status 77: there are
# no budgets for this version of the compiler, so only spills are looked for.
set -eu
vendor=$1 version=$2 objects=$3 architectures=$4
update=${5:-}
budgets=$(dirname "$0")/registers.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lines of: file, architecture, registers, bytes of shared memory, bytes or registers spilled, symbol
cuda_figures() {
  while read -r object; do
    name=${object##*.dir/}
    name=${name#./}
    [ -f "$object.ptxas" ] || { echo "FAULT: $object has no figures beside it" >&2 && return 1; }
    awk -v name="${name%_device.cu.o}" '
      / Compiling entry function / { split($0, part, "\047"); symbol = part[2]; arch = part[4] }
      / bytes stack frame, / { spilled = $1 + $5 + $9 }
      / Used [0-9]+ registers/ {
        shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
        match($0, /Used [0-9]+/)
        if (symbol != "") print name, arch, substr($0, RSTART + 5, RLENGTH - 5), shared, spilled, symbol
        symbol = ""
      }' "$object.ptxas"
  done <"$objects"
}
hip_figures() {
  for program in "$BUNDLER" "$READELF"; do
    command -v "$program" >/dev/null || { echo "FAULT: $program was not found" >&2 && return 1; }
  done
  while read -r object; do
    name=${object##*/hip/}
    objcopy -O binary --only-section=.hip_fatbin --set-section-flags .hip_fatbin=alloc "$object" "$work/bundle"
    [ -s "$work/bundle" ] || continue  # no code for a GPU
    for architecture in $architectures; do
      "$BUNDLER" --unbundle --type=o --input="$work/bundle" --output="$work/code" \
        --targets="hipv4-amdgcn-amd-amdhsa--$architecture" || { echo "FAULT: $object has no $architecture" >&2 && return 1; }
      # Each kernel is a block of the notes, keys sorted: .vgpr_spill_count comes last of these.
      "$READELF" --notes "$work/code" | awk -v name="${name%_device.hip.o}" -v arch="$architecture" '
        $1 == ".group_segment_fixed_size:" { shared = $2 }
        $1 == ".private_segment_fixed_size:" { spilled = $2 }
        $1 == ".name:" { symbol = $2 }
        $1 == ".vgpr_count:" { registers = $2 }
        $1 == ".vgpr_spill_count:" { print name, arch, registers, shared, spilled + $2, symbol }'
    done
  done <"$objects"
}
"${vendor}_figures" >"$work/raw"
[ -s "$work/raw" ] || { echo "FAULT: no kernel was found" && exit 1; }

# file, architecture, registers, bytes of shared memory, spilled, kernel; those of other libraries are not ours to judge
cut -d' ' -f6 "$work/raw" | c++filt | awk '
  {
    gsub(/frugal::v0::(detail::)?/, "")
    if (!match($0, /device_entry<(team|tile|single)_kernel</)) { print "other"; next }
    kind = substr($0, RSTART + 13, RLENGTH - 13)
    $0 = substr($0, RSTART + RLENGTH)
    if (kind ~ /^tile/) sub(/^[^,]*, /, "")  # the work, which comes first
    match($0, /^[A-Za-z0-9_:]+/)
    name = substr($0, 1, RLENGTH)
    rest = substr($0, RLENGTH + 1)
    if (rest ~ /^</ && match(rest, /^<[A-Za-z0-9_:]+/)) name = name substr(rest, 1, RLENGTH) ">"
    gsub(/\(anonymous namespace\)::/, "", name)
    print name
  }' >"$work/kernels"
cut -d' ' -f1-5 "$work/raw" | paste -d' ' - "$work/kernels" >"$work/figures"

rc=0
awk '$5 > 0 && $6 != "other" { print "FAULT: " $1 " spills or uses scratch memory on " $2 ": " $6; bad = 1 } END { exit bad }' \
  "$work/figures" || rc=1
# The most of each kernel: file, kernel, architecture, registers, shared
awk '$6 != "other" {
    key = $1 " " $6 " " $2
    if (!(key in most) || $3 > most[key]) most[key] = $3
    if (!(key in shared) || $4 > shared[key]) shared[key] = $4
  }
  END { for (key in most) print key, most[key], shared[key] }' "$work/figures" | LC_ALL=C sort >"$work/most"
[ -s "$work/most" ] || { echo "FAULT: none of the kernels is one of the library's" && exit 1; }
known=$(sed -n "s/^compiler $vendor //p" "$budgets" 2>/dev/null || true)

if [ "$update" = --update ]; then
  {
    sed -n '/^#/p' "$budgets"
    grep '^compiler ' "$budgets" | grep -v "^compiler $vendor " || true
    echo "compiler $vendor $version"
    {
      if [ "$vendor" = cuda ]; then grep -E '^[^#]* gfx' "$budgets" || true; else grep -E '^[^#]* sm_' "$budgets" || true; fi
      # Processors give registers in eights: up to there one more costs nothing.
      awk '{ $4 = int(($4 + 7) / 8) * 8; print }' "$work/most"
    } | LC_ALL=C sort
  } >"$work/new"
  cat "$work/new" >"$budgets"
  echo "registers.txt: $(wc -l <"$work/most") rows for $vendor $version"
  exit "$rc"
fi
if [ "$known" != "$version" ]; then
  echo "skipped: registers.txt is about $vendor ${known:-of no version}, and this is $version; spills were looked for"
  [ "$rc" = 0 ] && exit 77
  exit 1
fi
awk -v vendor="$vendor" '
  FNR == NR {
    if (/^#/ || /^compiler / || NF == 0 || (vendor == "cuda") != ($3 ~ /^sm_/)) next
    key = $1 " " $2 " " $3
    registers[key] = $4; shared[key] = $5
    next
  }
  {
    key = $1 " " $2 " " $3
    if (!(key in registers)) { print "FAULT: no budget for " key ", which takes " $4 " registers, " $5 " bytes"; ++faults; next }
    if ($4 > registers[key]) { print "FAULT: " key " takes " $4 " registers, its budget is " registers[key]; ++faults }
    if ($5 > shared[key]) { print "FAULT: " key " takes " $5 " bytes of shared memory, its budget is " shared[key]; ++faults }
    if ($4 < registers[key] - 16) print "loose: " key " takes " $4 " registers, its budget is " registers[key]
    ++rows
    delete registers[key]
  }
  END {
    for (key in registers) { print "FAULT: there is no kernel any more for the budget of " key; ++faults }
    printf "%d kernels, %d faults%s\n", rows, faults, faults ? ": spend less, or write down why (docs/testing.md)" : ""
    exit faults > 0
  }' "$budgets" "$work/most" || rc=1
exit "$rc"
