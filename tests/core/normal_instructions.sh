#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pair of normal numbers must be made of the operations of the format and of no others: counts the floating-point
# instructions of the kernel `pairs_of_words` of normal_device.cu.
#   normal_instructions.sh cuda PROJECT NVCC                            as usual and with --use_fast_math
#   normal_instructions.sh hip PROJECT CLANG FLAGS... -- ARCHITECTURE...
set -eu
vendor=$1 project=$2 compiler=$3
shift 3
faults=0 checked=0
assembly=$(mktemp)
trap 'rm -f "$assembly"' EXIT

# The operations of the kernel in FILE as "name count", sorted, in one line. Two in one instruction count as two.
operations() {
  awk '
    /pairs_of_words/ && (/\.entry/ || /^_Z[A-Za-z0-9_]*:/) { inside = 1 }
    inside && (/^}/ || /s_endpgm/) { exit }
    !inside { next }
    /^\tv_[a-z_0-9]*f32/ { name = $1; sub(/^v_/, "", name) }           # AMD
    /^[\t @%p0-9]*[a-z]+[a-z.0-9]*\.f32/ { name = $1 ~ /^@/ ? $2 : $1 }  # PTX
    name != "" {
      two = sub(/^pk_/, "", name)
      sub(/[._].*/, "", name)
      sub(/^fma(c|ak|mk)/, "fma", name)
      if (name != "mov" && name != "neg") n[name] += 1 + two
      name = ""
    }
    END { for (name in n) print name, n[name] }' "$1" | sort | tr '\n' ' '
}
check() { # EXPECTED COMPILER...: what it says about the kernel
  expected=$1
  shift
  "$@" -std=c++20 -I"$project/include" -I"$project/tests" -o "$assembly" "$project/tests/core/normal_device.cu"
  found=$(operations "$assembly")
  checked=$((checked + 1))
  [ "$found" = "$expected " ] || { echo "$*: expected $expected, got $found" && faults=$((faults + 1)); }
}

case $vendor in
  cuda)
    for flag in -O2 --use_fast_math; do
      check 'add 1 cvt 2 fma 18 mul 3 sqrt 1' "$compiler" -arch=sm_90 "$flag" -ptx
    done
    ;;
  hip)  # two of the fma and the comparisons correct the square root
    flags=
    while [ "$1" != -- ]; do flags="$flags $1" && shift; done
    shift
    for architecture; do
      # shellcheck disable=SC2086
      check 'add 1 cmp 2 cvt 2 fma 20 mul 3 sqrt 1' "$compiler" $flags -x hip -O2 -S --offload-device-only \
        --offload-arch="$architecture"
    done
    ;;
esac
echo "normal_instructions: $checked checked, $faults faults"
[ "$checked" -gt 0 ] && [ "$faults" = 0 ]
