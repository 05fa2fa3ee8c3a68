#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a compiler, as CMake's launcher of one, and leaves what it took beside the OUTPUT that it makes:
#   OUTPUT.cpu     seconds of processor; none where a cache of objects had it
#   OUTPUT.ptxas   what the assembler of CUDA says about each kernel (-Xptxas -v), which is then not printed
# usage: build_meter.sh OUTPUT COMMAND...
output=$1
shift
rm -f "$output.cpu" "$output.ptxas" "$output.said" "$output.stats"
rc=0
case $output in
  *.cu.o)
    "$@" 2>"$output.said" || rc=$?
    grep -E '^(ptxas info|    [0-9]+ bytes stack)' "$output.said" >"$output.ptxas"
    grep -vE '^(ptxas info|    [0-9]+ bytes stack)' "$output.said" >&2
    rm -f "$output.said"
    ;;
  *)
    CCACHE_STATSLOG=$output.stats
    export CCACHE_STATSLOG
    "$@" || rc=$?
    ;;
esac
[ "$rc" = 0 ] || exit "$rc"
if ! grep -qs '_cache_hit' "$output.stats"; then times >"$output.cpu"; fi
rm -f "$output.stats"
