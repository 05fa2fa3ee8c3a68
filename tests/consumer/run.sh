#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A project that is not frugal's, and has it in one of the ways of docs/packaging.md.
#   run.sh WAY SOURCE FOLDER COMPILER [CMAKE [GENERATOR]]      FOLDER is made anew
set -eu
way=$1 source=$2 folder=$3 compiler=$4 cmake=${5:-cmake} generator=${6:-Unix Makefiles}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
warnings='-Wall -Wextra -Wpedantic -Wshadow -Werror'
fail() { echo "$way: $*" && exit 1; }
skip() { echo "$way: skipped, $*" && exit 77; }
quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log" && fail "this failed: $*"; }; }

rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
version=$(sed -n 's/^#define FRUGAL_VERSION_M[A-Z]* \([0-9]*\)/\1./p; s/^#define FRUGAL_VERSION_PATCH //p' \
  "$source/include/frugal/version.hpp" | tr -d '\n')

install_frugal() { # to "$folder/a b/prefix", after a moment elsewhere
  quietly "$cmake" -S "$source" -B made -G "$generator" -DCMAKE_CXX_COMPILER="$compiler"
  quietly "$cmake" --install made --prefix "$folder/first"
  rm -r made
  mkdir 'a b'
  mv first 'a b/prefix'
}
configure() { # ARGUMENTS: of the consumer
  quietly "$cmake" -S "$here" -B build -G "$generator" -DCMAKE_CXX_COMPILER="$compiler" -DWAY="$way" \
    -DSOURCE="$source" -DVERSION="$version" -DCMAKE_CXX_FLAGS="$warnings" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@"
}
build() { quietly "$cmake" --build build; }
says_version() { # PROGRAM
  said=$("$1") || fail "$1 computes something else"
  [ "$said" = "$version" ] || fail "the program says version $said, and not $version"
}
adds_only() { # REGULAR EXPRESSION: the words that the target gave to the compiler
  [ -s build/compile_commands.json ] || fail 'there is no compile_commands.json'
  words=$(sed -n 's/^ *"command": "[^ ]*\( .*\)",$/\1/p' build/compile_commands.json |
    sed -e 's/ -o [^ ]*//' -e 's/ -c [^ ]*//' -e "s/ $warnings//" -e 's/ -DWITH_[A-Z]*//' -e 's/ -isystem / -isystem/g' \
      -e "s/a b/ab/g" -e 's/\\"//g')
  for word in $words; do
    expr "$word" : "\\($1\\)\$" >/dev/null || fail "the target adds $word to the compiler's words"
  done
}

case $way in
  find_package)
    install_frugal
    configure -DCMAKE_PREFIX_PATH="$folder/a b/prefix" -DCMAKE_CXX_STANDARD=17 # the target asks for more
    build
    says_version build/consumer
    adds_only "-isystem$folder/ab/prefix/include\\|-std=gnu++20"
    ;;
  components)
    mkdir -p one/frugal
    for header in backend/tbb comm/loopback interop/safetensors linalg/eigen comm/mpi; do
      set -- "$@" "frugal/$header.hpp"
    done
    shift $(($# - 5))
    sh "$source/cmake/single_header.sh" one/frugal/frugal.hpp "$@"
    install_frugal
    configure -DCMAKE_PREFIX_PATH="$folder/a b/prefix" -DSINGLE="$folder/one"
    build
    quietly build/components
    [ ! -x build/torch_component ] || quietly build/torch_component
    ;;
  add_subdirectory)
    configure -DCMAKE_CXX_EXTENSIONS=OFF
    build
    says_version build/consumer
    adds_only "-I$source/include\\|-std=c++20"
    quietly "$cmake" --install build --prefix "$folder/installed"
    [ ! -e installed ] || fail "frugal is installed where its user is: $(find installed)"

    # But where that is asked for, the user's library can be exported.
    configure -DFRUGAL_INSTALL=ON
    quietly "$cmake" --install build --prefix "$folder/installed"
    [ -f installed/include/frugal/frugal.hpp ] || fail 'FRUGAL_INSTALL installs no headers'
    grep -q 'frugal::frugal' installed/share/cmake/mine/mine-config.cmake || fail 'mine is exported without frugal'
    ;;
  fetch_content)
    configure
    build
    says_version build/consumer
    ;;
  pkg_config)
    command -v pkg-config >/dev/null 2>&1 || skip 'pkg-config was not found'
    install_frugal
    mv 'a b' ab # make's and the shell's users have no blanks in paths
    export PKG_CONFIG_PATH="$folder/ab/prefix/share/pkgconfig"
    found=$(pkg-config --modversion frugal)
    [ "$found" = "$version" ] || fail "pkg-config says version $found, and not $version"
    [ -z "$(pkg-config --libs frugal)" ] || fail "there are libraries: $(pkg-config --libs frugal)"
    # shellcheck disable=SC2046,SC2086
    quietly "$compiler" -std=c++20 $warnings $(pkg-config --cflags frugal) "$here/main.cpp" -o consumer
    says_version ./consumer
    ;;
  single_header)
    mkdir -p one/frugal
    quietly sh "$source/cmake/single_header.sh" one/frugal/frugal.hpp
    includes=$(sed -n 's/^#include \(<[a-z_]*>\).*/\1/p' one/frugal/frugal.hpp)
    [ "$(echo "$includes" | sort)" = "$(echo "$includes" | sort -u)" ] || fail 'a standard header is included twice'
    ! grep '#include "' one/frugal/frugal.hpp || fail 'there are other files'
    # shellcheck disable=SC2086
    quietly "$compiler" -std=c++20 $warnings -Ione "$here/main.cpp" -o consumer
    says_version ./consumer
    ;;
  mistakes)
    # What a compiler says first, if something is forgotten.
    says() { # TEXT COMPILER'S WORDS
      text=$1
      shift
      ! "$compiler" -fsyntax-only "$@" >log 2>&1 || fail "this compiles: $*"
      first=$(grep -m1 'error: ' log)
      case $first in *"$text"*) ;; *) cat log && fail "what comes first is not: $text" ;; esac
      [ "$(grep -c 'error: ' log)" -le 2 ] || { cat log && fail 'it says more than that'; }
    }
    for header in frugal backend/tbb optim/adamw compress/top_k comm/loopback zeroth_order/mezo; do
      echo "#include <frugal/$header.hpp>" >$(basename $header).cpp
      says 'needs C++20: compile with -std=c++20' -std=c++17 "-I$source/include" $(basename $header).cpp
    done
    case $("$compiler" --version) in
      *clang*) old='-U__clang_major__ -D__clang_major__=12' ;;
      *) old='-U__GNUC__ -D__GNUC__=10' ;;
    esac
    # shellcheck disable=SC2086
    says 'this compiler is too old' -std=c++20 $old "-I$source/include" frugal.cpp
    says 'frugal/frugal.hpp' -std=c++20 "-I$source" frugal.cpp
    sh "$source/cmake/single_header.sh" one.hpp
    { echo '#include "one.hpp"' && cat adamw.cpp; } >both.cpp
    says 'single header was included before' -std=c++20 "-I$source/include" both.cpp
    ;;
  readme)
    # Its first program, as its first blocks say.
    block() {
      awk -v first="\`\`\`$1" '$0 == first { on = 1; next } on && /^```/ { exit } on' "$source/README.md" >"$2"
      [ -s "$2" ] || fail "README.md has no block of $1"
    }
    block cpp train.cpp
    block cmake CMakeLists.txt
    block sh commands
    block text expected
    ln -s "$source" frugal
    while read -r command; do
      CXX=$compiler CMAKE_GENERATOR=$generator sh -c "$command" </dev/null >said 2>log || { cat said log && fail "$command"; }
      tail -n "$(wc -l <expected)" said | diff expected - || fail "$command: prints something else"
    done <commands
    ;;
  *) fail 'there is no such way' ;;
esac
echo "$way: frugal $version"
