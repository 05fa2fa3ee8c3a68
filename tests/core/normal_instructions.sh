#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pair of normal numbers must be made of the operations of the format and of no others: counts the floating-point
# instructions of the kernel `pairs_of_words` of normal_device.cu.
#   normal_instructions.sh cuda NVCC PROJECT        compiles it to PTX, as usual and with --use_fast_math
#   normal_instructions.sh hip OBJECTS              OBJECTS: the object files, one a line; their assembly lies beside
set -eu
faults=0 checked=0

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
check() { # WHAT FILE EXPECTED
  found=$(operations "$2")
  checked=$((checked + 1))
  [ "$found" = "$3 " ] || { echo "$1: expected $3, got $found" && faults=$((faults + 1)); }
}

case $1 in
  cuda)
    ptx=$(mktemp)
    trap 'rm -f "$ptx"' EXIT
    for flag in -O2 --use_fast_math; do
      "$2" -std=c++20 -arch=sm_90 "$flag" -ptx -I"$3/include" -I"$3/tests" -o "$ptx" "$3/tests/core/normal_device.cu"
      check "nvcc $flag" "$ptx" "add 1 cvt 2 fma 18 mul 3 sqrt 1"
    done
    ;;
  hip)  # two of the fma and the comparisons correct the square root
    stem=$(sed -n 's/^\(.*normal_device\)\.hip\.o$/\1/p' "$2")
    for assembly in "$stem"-hip-amdgcn-*.s; do
      check "$assembly" "$assembly" "add 1 cmp 2 cvt 2 fma 20 mul 3 sqrt 1"
    done
    ;;
esac
echo "normal_instructions: $checked checked, $faults faults"
[ "$checked" -gt 0 ] && [ "$faults" = 0 ]
