#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What it took to compile each algorithm, against the budgets in build.txt. Reads what build_meter.sh left beside the
# objects of a build folder, and beside other outputs, which STAMPS lists one a line.   usage: build.sh FOLDER STAMPS
# Exit status 77: not all of it was compiled, or nobody counted instructions, so nothing is known.
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
  sed -n 's/^ *"command": .* -o \([^ "]*\)[ "].*/\1/p' compile_commands.json
  cat "$stamps"
} | while read -r output; do
  echo "$output $(cat "$output.cost" 2>/dev/null)"
done | awk -v budgets="$budgets" '
  BEGIN {
    while ((getline line < budgets) > 0) {
      n = split(line, word)
      if (n == 0 || line ~ /^#/) continue
      if (word[1] == "second") { second = word[2]; continue }
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
    sub(/_(native_test|native|test|device|bench|example)$/, "", name)
    who = name in owner ? owner[name] : part[n - 1] "/" name in owner ? owner[part[n - 1] "/" name] : ""
    if (who == "") next
    if (NF < 3) { unknown[who]++; next }
    objects[who]++
    seconds[who] += $3
    if ($2 ~ /^[0-9]+$/) counted[who] += $2
    else uncounted++
  }
  END {
    printf "a second is %.1f billion instructions; in brackets what it took here\n", second / 1e9
    for (i = 1; i <= rows; ++i) {
      name = order[i]; took = counted[name] / second
      note = unknown[name] ? sprintf(", %d more not compiled here", unknown[name]) : ""
      verdict = "ok   "
      if (took > budget[name]) { verdict = "FAULT"; ++faults }
      else if (objects[name] + unknown[name] == 0) { verdict = "FAULT"; ++faults; note = ": nothing of that name" }
      else if (unknown[name] || uncounted) { verdict = "?    "; ++open }
      printf "%s %-12s %5.1f of %d s (%.1f), %d outputs%s\n",
        verdict, name, took, budget[name], seconds[name], objects[name], note
    }
    if (faults) { printf "%d above their budget: compile less (docs/testing.md)\n", faults; exit 1 }
    if (uncounted) { print "skipped: instructions were not counted: perf (linux-perf) cannot here, or another program runs the compiler"; exit 77 }
    if (open) { printf "skipped: of %d algorithms not all is compiled\n", open; exit 77 }
  }' || rc=$?
exit "$rc"
