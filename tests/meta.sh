#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One name everywhere: what include/frugal/<family>/<name>.hpp offers has its tests, its benchmark, its page, its row in
# the README and a product, and none of these is of a header that is gone; the quick reference has every configuration's
# fields and defaults; and every link within the documentation leads somewhere.   usage: meta.sh [PROJECT]
set -eu
cd "${1:-$(dirname "$0")/..}"
faults=0 algorithms=0 links=0 families=
work=$(mktemp)
trap 'rm -f "$work"' EXIT
fault() {
  echo "$*"
  faults=$((faults + 1))
}

for header in include/frugal/*/*.hpp; do
  [ -e "$header" ] || continue
  name=$(basename "$header" .hpp)
  family=$(basename "$(dirname "$header")")
  case $family in core | backend | linalg | interop | comm) continue ;; esac
  case $family/$name in  # mechanisms: no algorithm by themselves
    compress/message | compress/compressor | compress/sparse | compress/feedback) continue ;;
    projection/sparse_signs | projection/sparse_products) continue ;;
    decentralized/topology | decentralized/spectrum | decentralized/weights | decentralized/neighbourhood) continue ;;
    sharing/cyclic_fold | sharing/gradient_scaling) continue ;;
    zeroth_order/random_axpy | zeroth_order/random_directions) continue ;;
    zeroth_order/update_log | zeroth_order/replicas) continue ;;
    distributed/shard | distributed/sharded_step | distributed/tensor_parts | distributed/whole_state) continue ;;
    optim/group_sets | optim/schedules | optim/step_law | optim/muon_kernels) continue ;;
    optim/stable_embedding) continue ;;
    optim/kronecker | optim/kronecker_optimizer) continue ;;
    optim/layerwise | optim/linear_layers) continue ;;
  esac
  algorithms=$((algorithms + 1))
  case " $families " in *" $family "*) ;; *) families="$families $family" ;; esac
  for file in "tests/$family/${name}_test.cpp" "tests/$family/${name}_device.cu" \
    "benchmarks/kernels/${name}_bench.cpp" "docs/algorithms/$name.md"; do
    [ -f "$file" ] || fault "frugal/$family/$name.hpp has no $file"
  done
  grep -qs "^|.*frugal/$family/$name\.hpp" README.md || fault "frugal/$family/$name.hpp has no row in README.md"
  grep -v '^#' tests/products.txt | grep -qsE "(^|[^a-z_.])${name}[({]" || fault "frugal/$family/$name.hpp has no line in tests/products.txt"
done

# The other way round.
for header in $(sed -n 's/^|.*`\(frugal\/[a-z0-9_\/]*\.hpp\)`.*/\1/p' README.md); do
  [ -f "include/$header" ] || fault "README.md has a row of $header, which is not there"
done
for file in docs/algorithms/*.md; do
  set -- include/frugal/*/"$(basename "$file" .md).hpp"
  [ -f "$1" ] || fault "$file is of no header"
done
for family in $families; do
  for file in "tests/$family"/*_test.cpp "tests/$family"/*_device.cu; do
    name=$(basename "$file" | sed -E 's/(_native)?(_test|_device)\.(cpp|cu)$//')
    [ ! -f "$file" ] || [ -f "include/frugal/$family/$name.hpp" ] || fault "$file is of no header"
  done
done

# The quick reference has a row of each *_config, and in it each field with its default after it.
awk '
  FNR == NR {
    if (!/^\| `[a-z0-9_]+_config` /) next
    gsub(/`|[a-z_]+::/, "")
    gsub(/[,;:|]/, " ")
    row[$1] = $0 " "
    next
  }
  /^struct [a-z0-9_]+_config [{]/ { config = $2 }
  /^}/ { config = "" }
  config != "" && /^  [a-z].*;/ {
    sub(/;.*/, "")
    gsub(/[a-z_]+::/, "")
    for (n = split($0, declared, ", "); n > 0; --n) {
      k = split(declared[n], word, " ")
      is = k > 2 && word[k - 1] == "=" ? word[k - 2] " " word[k] : word[k]
      if (!index(row[config], " " is " ")) print "docs/quick_reference.md has not in its row of " config ": " is
    }
  }' docs/quick_reference.md include/frugal/*/*.hpp >"$work"
while read -r line; do fault "$line"; done <"$work"

# The targets of the inline links and the link definitions of a page, one a line, code left out.
targets() {
  awk '
    /^ *(```|~~~)/ { code = !code; next }
    code { next }
    {
      gsub(/`[^`]*`/, "")
      if (match($0, /^ *\[[^]]+\]: */)) { split(substr($0, RSTART + RLENGTH), part, " "); print part[1] }
      while (match($0, /\]\([^) ]+[^)]*\)/)) {
        split(substr($0, RSTART + 2, RLENGTH - 3), part, " ")
        print part[1]
        $0 = substr($0, RSTART + RLENGTH)
      }
    }' "$1"
}
# The anchors of the headings of a page.
anchors() {
  awk '/^ *(```|~~~)/ { code = !code } !code && sub(/^#+ /, "") { $0 = tolower($0); gsub(/[^a-z0-9 _-]/, ""); gsub(/ /, "-"); print }' "$1"
}
pages=$(for page in README.md $(find docs -name '*.md' 2>/dev/null | sort); do [ ! -f "$page" ] || echo "$page"; done)
set -f
for page in $pages; do
  for target in $(targets "$page"); do
    case $target in *:*) continue ;; esac
    links=$((links + 1))
    file=${target%%#*}
    case $file in
      '') file=$page ;;
      /*) file=.$file ;;
      *) file=$(dirname "$page")/$file ;;
    esac
    [ -e "$file" ] || fault "$page: the link $target leads nowhere"
    case $target in *'#'*) anchors "$file" | grep -qxF "${target#*#}" || fault "$page: no heading for $target" ;; esac
  done
done

echo "meta: $algorithms algorithms, $links relative links, $faults faults"
[ "$faults" = 0 ]
