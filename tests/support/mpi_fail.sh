#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What PROGRAM lists as `cases`, a name and a text each, ends the whole job of three ranks: within ten seconds, with a
# status that is not zero, and with that text.   usage: mpi_fail.sh PROGRAM MPIEXEC [ARGUMENTS]
set -u
program=$1
shift
faults=0
cases=$("$program" cases) || exit 1
while read -r how text; do
  started=$(date +%s)
  output=$(timeout -k 5 60 "$@" -n 3 "$program" "$how" 2>&1 </dev/null)
  status=$?
  took=$(($(date +%s) - started))
  echo "$how: status $status after $took s"
  if [ "$status" = 0 ] || [ "$took" -gt 10 ]; then
    echo "$how: the job should have ended within 10 s, with a status that is not zero"
    faults=$((faults + 1))
  fi
  case $output in
    *"$text"*) ;;
    *)
      printf '%s: this lacks "%s":\n%s\n' "$how" "$text" "$output"
      faults=$((faults + 1))
      ;;
  esac
done <<END
$cases
END
[ "$faults" = 0 ]
