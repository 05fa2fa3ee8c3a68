#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A rank that throws, is killed, disagrees, or keeps the others waiting ends the whole job: within ten seconds, with a
# status that is not zero, and with a text that says why.   usage: mpi_fail.sh PROGRAM MPIEXEC [ARGUMENTS]
set -u
program=$1
shift
faults=0
for how in throw kill mismatch mismatch_any_order mismatch_root timeout; do
  case $how in
    throw) text='frugal: rank 2: thrown on purpose' ;;
    kill) text='rank 2 ' ;;
    mismatch) text='rank 2 expected all_reduce (sum) number 1 of 100001 float' ;;
    mismatch_any_order) text='of 100001 float (0 bytes)' ;;
    mismatch_root) text='the ranks disagree: rank' ;;
    timeout) text='waited for 1 s, for barrier number 1 from rank 2' ;;
  esac
  started=$(date +%s)
  output=$(timeout -k 5 60 "$@" -n 3 "$program" "$how" 2>&1)
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
done
[ "$faults" = 0 ]
