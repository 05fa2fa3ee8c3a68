#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What it took to compile each algorithm, against the budgets in build.txt. Reads what build_meter.sh left beside the
# objects of a build folder, and beside other outputs, which STAMPS lists one a line.   usage: build.sh FOLDER STAMPS
# Exit status 77: not all of it was compiled on this machine (there is a cache of objects), so nothing is known.
set -eu
folder=$1 stamps=$2
here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
budgets=$here/build.txt

# An algorithm is what has a device test; every one has a row.
rc=0
for device in "$here"/../*/*_device.cu; do
  name=$(basename "$device" _device.cu)
  case $device in */core/* | */linalg/*) continue ;; esac  # mechanisms
  grep -q "^$name " "$budgets" || { echo "FAULT: $name has no row in build.txt" && rc=1; }
done

cd "$folder"
{
  sed -n 's/^ *"command": .* -o \([^ ]*\) .*/\1/p' compile_commands.json
  cat "$stamps"
} | while read -r output; do
  if [ -f "$output.cpu" ]; then
    # Two lines, of the shell and of what it ran: 0m0.00s 0m0.00s, user and system.
    echo "$output $(sed -n 2p "$output.cpu")"
  else
    echo "$output -"
  fi
done | awk -v budgets="$budgets" '
  function seconds(s, part) { split(s, part, /[ms]/); return part[1] * 60 + part[2] }
  BEGIN {
    while ((getline line < budgets) > 0) {
      n = split(line, word)
      if (n == 0 || line ~ /^#/) continue
      if (word[1] == "reference") { unit = word[2]; continue }
      budget[word[1]] = word[2]; order[++rows] = word[1]; owner[word[1]] = word[1]
      for (i = 3; i <= n; ++i) owner[word[i]] = word[1]
    }
  }
  {
    # tests/optim/adam_native_test.cpp.o, tests/headers-frugal-optim-adam.cpp.ok: family optim, name adam
    path = $1
    if (path ~ /_(asan|tsan)\.dir\//) next  # of one algorithm for all of its shape
    sub(/\.(cpp|cu|hip)\.(o|ok)$/, "", path)
    n = split(path, part, /[\/-]/)
    name = part[n]
    if (name == "build_reference") { if ($2 != "-") { here += seconds($2) + seconds($3); ++times }; next }
    sub(/_(native_test|native|test|device|bench|example)$/, "", name)
    who = name in owner ? owner[name] : part[n - 1] "/" name in owner ? owner[part[n - 1] "/" name] : ""
    if (who == "") next
    if ($2 == "-") { unknown[who]++; next }
    cpu[who] += seconds($2) + seconds($3); objects[who]++
  }
  END {
    if (here == 0) { print "skipped: build_reference.cpp was not compiled here"; exit 77 }
    here /= times
    scale = unit / here
    printf "build_reference.cpp took %.1f s, %.1f is the unit: seconds below are times %.2f\n", here, unit, scale
    for (i = 1; i <= rows; ++i) {
      name = order[i]; took = cpu[name] * scale
      note = unknown[name] ? sprintf(", %d more not compiled here", unknown[name]) : ""
      verdict = "ok   "
      if (took > budget[name]) { verdict = "FAULT"; ++faults }
      else if (objects[name] + unknown[name] == 0) { verdict = "FAULT"; ++faults; note = ": nothing of that name" }
      else if (unknown[name]) { verdict = "?    "; ++open }
      printf "%s %-12s %5.1f of %d s, %d outputs%s\n", verdict, name, took, budget[name], objects[name], note
    }
    if (faults) { printf "%d above their budget: compile less (docs/testing.md)\n", faults; exit 1 }
    if (open) { printf "skipped: of %d algorithms some came from a cache\n", open; exit 77 }
  }' || rc=$?
exit "$rc"
