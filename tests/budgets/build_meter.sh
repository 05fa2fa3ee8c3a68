#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a compiler, as CMake's launcher of one, and leaves what it took beside the OUTPUT that it makes:
#   OUTPUT.cost    instructions, seconds of processor
#   OUTPUT.ptxas   what the assembler of CUDA says about each kernel (-Xptxas -v), which is then not printed
# PERF counts instructions; where it is `-`, nobody does.   usage: build_meter.sh PERF OUTPUT COMMAND...
perf=$1 output=$2
shift 2
rm -f "$output.cost" "$output.ptxas" "$output.said" "$output.counted"
[ "$perf" = - ] || set -- "$perf" stat -x, -e instructions:u,task-clock -o "$output.counted" -- "$@"
rc=0
case $output in
  *.cu.o)
    "$@" 2>"$output.said" || rc=$?
    grep -E '^(ptxas info|    [0-9]+ bytes stack)' "$output.said" >"$output.ptxas"
    grep -vE '^(ptxas info|    [0-9]+ bytes stack)' "$output.said" >&2
    rm -f "$output.said"
    ;;
  *) "$@" || rc=$? ;;
esac
if [ "$rc" = 0 ]; then
  if [ "$perf" = - ]; then
    # Two lines, of the shell and of what it ran: 0m0.00s 0m0.00s, user and system. (Of a pipe it would be the pipe's.)
    times >"$output.counted"
    awk -F '[ms ]+' 'NR == 2 { print "-", $1 * 60 + $2 + $3 * 60 + $4 }' "$output.counted" >"$output.cost"
  else
    awk -F, '$3 ~ /^instructions/ { n = $1 } $3 ~ /^task-clock/ { print n, $1 / 1000 }' "$output.counted" >"$output.cost"
  fi
fi
rm -f "$output.counted"
exit "$rc"
