# SPDX-License-Identifier: Apache-2.0
# Helpers for tests, benchmarks and examples.

set(FRUGAL_STRICT -Wall -Wextra -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # collects no garbage below a GiB, which is a tenth of the time
  list(APPEND FRUGAL_STRICT --param=ggc-min-heapsize=1000000)
endif()

# Every compilation leaves beside its object what it took: tests/budgets/ reads that. Instructions are counted, if the
# system lets perf do it (seconds of the same compilation differ by a third from one minute to the next) and no cache of
# objects runs the compiler (those of the cache would count, and a precompiled header is in its way).
find_program(FRUGAL_PERF perf)
mark_as_advanced(FRUGAL_PERF)
set(counter -)
if(FRUGAL_PERF AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  execute_process(COMMAND "${FRUGAL_PERF}" stat -x, -e instructions:u true OUTPUT_QUIET ERROR_VARIABLE counted
                  RESULT_VARIABLE result)
  if(result EQUAL 0 AND counted MATCHES "(^|\n)[0-9]+,,instructions")
    set(counter "${FRUGAL_PERF}")
  endif()
endif()
set(FRUGAL_METER sh "${PROJECT_SOURCE_DIR}/tests/budgets/build_meter.sh" ${counter})
if(FRUGAL_BUILD_TESTS AND FRUGAL_SOURCE_CHECKS)
  list(JOIN FRUGAL_METER " " launcher)
  set_property(GLOBAL PROPERTY RULE_LAUNCH_COMPILE "${launcher} <OBJECT>")
endif()

# libtorch as the target frugal_torch, where there is one. Its own package prints, sets flags, and asks for CUDA.
find_path(FRUGAL_TORCH_INCLUDE ATen/ATen.h)
find_path(FRUGAL_TORCH_API torch/optim.h PATH_SUFFIXES torch/csrc/api/include)
find_library(FRUGAL_TORCH_CPU torch_cpu)
find_library(FRUGAL_TORCH_C10 c10)
mark_as_advanced(FRUGAL_TORCH_INCLUDE FRUGAL_TORCH_API FRUGAL_TORCH_CPU FRUGAL_TORCH_C10)
if(FRUGAL_TORCH_INCLUDE AND FRUGAL_TORCH_API AND FRUGAL_TORCH_CPU AND FRUGAL_TORCH_C10)
  add_library(frugal_torch INTERFACE IMPORTED)
  target_include_directories(frugal_torch INTERFACE "${FRUGAL_TORCH_API}" "${FRUGAL_TORCH_INCLUDE}")
  target_link_libraries(frugal_torch INTERFACE "${FRUGAL_TORCH_CPU}" "${FRUGAL_TORCH_C10}")
endif()

# DLPack and Thrust are headers: the targets frugal_dlpack and frugal_thrust, where there are some.
foreach(header IN ITEMS dlpack/dlpack.h thrust/version.h)
  get_filename_component(name "${header}" DIRECTORY)
  string(TOUPPER "FRUGAL_${name}_INCLUDE" variable)
  find_path(${variable} ${header})
  mark_as_advanced(${variable})
  if(${variable})
    add_library(frugal_${name} INTERFACE IMPORTED)
    target_include_directories(frugal_${name} INTERFACE "${${variable}}")
  endif()
endforeach()

# frugal_add_executable(NAME SOURCE... [LIBS ...])
# A program that uses the library, with strict warnings.
function(frugal_add_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE frugal::frugal ${arg_LIBS})
  target_compile_options(${name} PRIVATE ${FRUGAL_STRICT})
endfunction()

# frugal_add_test(NAME SOURCE... [ALONE] [OPTIONS ...] [LIBS ...] [LABELS ...])
# A GoogleTest program that is one test of ctest, compiled with these options beside the usual ones; ALONE, if few others
# are. Exit status 77 means skipped.
function(frugal_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "ALONE" "" "OPTIONS;LIBS;LABELS")
  frugal_add_executable(${name} ${arg_UNPARSED_ARGUMENTS} LIBS GTest::gtest_main ${arg_LIBS})
  frugal_as_tests_are(${name} ${arg_OPTIONS})
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER AND NOT arg_ALONE)  # a compiler cache does better without a precompiled header
    string(MAKE_C_IDENTIFIER "frugal_precompiled${arg_OPTIONS}" precompiled)
    if(NOT TARGET ${precompiled})
      file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cpp" CONTENT "")
      add_library(${precompiled} OBJECT "${PROJECT_BINARY_DIR}/precompiled.cpp")
      target_link_libraries(${precompiled} PRIVATE frugal::frugal GTest::gtest_main TBB::tbb)
      target_compile_options(${precompiled} PRIVATE ${FRUGAL_STRICT})
      frugal_as_tests_are(${precompiled} ${arg_OPTIONS})
      target_precompile_headers(${precompiled} PRIVATE "${PROJECT_SOURCE_DIR}/tests/support/precompiled.hpp")
    endif()
    target_precompile_headers(${name} REUSE_FROM ${precompiled})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS "${arg_LABELS}")
endfunction()
function(frugal_as_tests_are target)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_definitions(${target} PRIVATE ${FRUGAL_TEST_DEFINITIONS})
  target_compile_options(${target} PRIVATE ${ARGN})
endfunction()

# frugal_add_syntax_check(TARGET COMPILER SOURCE... [PRECOMPILED HEADER] [FLAGS ...])
# Makes the target TARGET, not part of `all`: COMPILER reads every source and finds no fault. A source is read again
# only when it, or something that it includes, has changed. PRECOMPILED (clang) is what most sources include.
function(frugal_add_syntax_check target compiler)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "PRECOMPILED" "FLAGS")
  set(flags "-I${PROJECT_SOURCE_DIR}/include" ${arg_FLAGS})
  foreach(library IN ITEMS Eigen3::Eigen TBB::tbb nlohmann_json::nlohmann_json GTest::gtest MPI::MPI_CXX frugal_torch
          frugal_dlpack frugal_thrust)
    if(NOT TARGET ${library})
      continue()
    endif()
    get_target_property(folders ${library} INTERFACE_INCLUDE_DIRECTORIES)
    foreach(folder IN LISTS folders)
      get_filename_component(folder "${folder}" REALPATH)
      if(IS_DIRECTORY "${folder}" AND NOT folder IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
        list(APPEND flags "-isystem${folder}")
      endif()
    endforeach()
  endforeach()
  get_filename_component(compiler_name "${compiler}" NAME)
  set(check -Wall -Wextra -Werror -fsyntax-only)
  if(compiler_name STREQUAL "nvcc")  # it can be asked for no less than both its passes, without the host's compiler
    file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${target}")
    set(check -Werror=all-warnings -arch=sm_90 -cuda -o "${CMAKE_CURRENT_BINARY_DIR}/${target}/host.ii")
    list(TRANSFORM flags REPLACE "^-isystem" "-isystem=")
  endif()
  set(precompiled)
  if(arg_PRECOMPILED)
    set(precompiled "${CMAKE_CURRENT_BINARY_DIR}/${target}/precompiled.pch")
    add_custom_command(
      OUTPUT "${precompiled}"
      COMMAND "${compiler}" -std=c++20 ${flags} -x c++-header "${arg_PRECOMPILED}" -o "${precompiled}"
              -MD -MF "${precompiled}.d" -MT "${precompiled}"
      DEPENDS "${arg_PRECOMPILED}"
      DEPFILE "${precompiled}.d"
      COMMENT "${compiler_name} precompiles ${arg_PRECOMPILED}"
      VERBATIM)
    list(APPEND check -include-pch "${precompiled}")
  endif()
  set(stamps)
  foreach(source IN LISTS arg_UNPARSED_ARGUMENTS)
    string(REPLACE "${PROJECT_BINARY_DIR}/" "" name "${source}")
    string(REPLACE "${PROJECT_SOURCE_DIR}/" "" name "${name}")
    string(REPLACE "/" "-" stamp "${name}")
    set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}/${stamp}.ok")
    add_custom_command(
      OUTPUT "${stamp}"
      COMMAND ${FRUGAL_METER} "${stamp}" "${compiler}" -std=c++20 ${check} ${flags}
              -MD -MF "${stamp}.d" -MT "${stamp}" "${source}"
      COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
      DEPENDS "${source}" ${precompiled}
      DEPFILE "${stamp}.d"
      COMMENT "${compiler_name} reads ${name}"
      VERBATIM)
    list(APPEND stamps "${stamp}")
  endforeach()
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  add_custom_target(${target} DEPENDS ${stamps})
  set_property(GLOBAL APPEND PROPERTY FRUGAL_STAMPS ${stamps})
endfunction()

# frugal_add_build_test(NAME TARGET...)
# A test that passes when the targets can be built. Such tests share the build folder, hence never run side by side.
function(frugal_add_build_test name)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  set(keep_going $<IF:$<STREQUAL:${CMAKE_GENERATOR},Ninja>,-k0,-k>)
  add_test(NAME ${name} COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --parallel ${cores} --target ${ARGN}
           -- ${keep_going})
  set_tests_properties(${name} PROPERTIES PROCESSORS ${cores} RESOURCE_LOCK build_folder)
endfunction()

# frugal_add_skipped_test(NAME REASON)
# Stands for a test that cannot run here, so that the list of tests is the same everywhere.
function(frugal_add_skipped_test name reason)
  add_test(NAME ${name} COMMAND sh -c "echo '${reason}'; exit 77")
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()
