# SPDX-License-Identifier: Apache-2.0
# Components: the target frugal::NAME is frugal::frugal and the package that some headers need beside it. Read by
# find_package(frugal COMPONENTS ...), and by add_subdirectory for FRUGAL_COMPONENTS.

# Makes the target of a component, unless it is there. `fault` is empty then, or else says why there is none. With
# GLOBAL as a third argument every folder sees the target.
function(frugal_add_component component fault)
  set(table  # component, its target and package, who has it in Debian
    "threads      Threads::Threads              Threads             libc6-dev"
    "tbb          TBB::tbb                      TBB                 libtbb-dev"
    "eigen        Eigen3::Eigen                 Eigen3              libeigen3-dev"
    "mpi          MPI::MPI_CXX                  MPI,COMPONENTS,CXX  libopenmpi-dev"
    "checkpoints  nlohmann_json::nlohmann_json  nlohmann_json       nlohmann-json3-dev"
    "dlpack       dlpack::dlpack                dlpack              libdlpack-dev"
    "torch        torch                         Torch               libtorch-dev")
  set(${fault} "" PARENT_SCOPE)
  set(target)
  set(all)
  foreach(row IN LISTS table)
    separate_arguments(row UNIX_COMMAND "${row}")
    list(GET row 0 name)
    list(APPEND all ${name})
    if(name STREQUAL component)
      list(GET row 1 target)
      list(GET row 2 package)
      list(GET row 3 debian)
    endif()
  endforeach()
  if(NOT target)
    list(JOIN all ", " all)
    set(${fault} "frugal has no component \"${component}\", it has: ${all}" PARENT_SCOPE)
    return()
  endif()
  if(TARGET frugal::${component})
    return()
  endif()
  string(REPLACE "," ";" package "${package}")
  if(NOT TARGET ${target})
    find_package(${package} QUIET)
  endif()
  if(NOT TARGET ${target})
    list(GET package 0 package)
    string(CONCAT text "frugal's component \"${component}\" needs the package ${package}, which was not found. "
                       "In Debian it is ${debian}; elsewhere name its folder in CMAKE_PREFIX_PATH or ${package}_ROOT")
    set(${fault} "${text}" PARENT_SCOPE)
    return()
  endif()
  add_library(frugal::${component} INTERFACE IMPORTED ${ARGN})
  set_target_properties(frugal::${component} PROPERTIES INTERFACE_LINK_LIBRARIES "frugal::frugal;${target}")
endfunction()
