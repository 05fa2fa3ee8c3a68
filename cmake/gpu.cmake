# SPDX-License-Identifier: Apache-2.0
# Turns on the languages CUDA and HIP as FRUGAL_CUDA and FRUGAL_HIP ask. A GPU is not needed, only the compilers.
# Included at file scope (enable_language demands that); leaves FRUGAL_HAVE_CUDA and FRUGAL_HAVE_HIP behind.
set(FRUGAL_HAVE_CUDA OFF)
set(FRUGAL_HAVE_HIP OFF)

# ---- CUDA ------------------------------------------------------------------------------------------------------------
if(FRUGAL_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # Code for two, and PTX for what comes after. No header asks which it is, so it is read once for both: for each by
    # itself would take a third longer.
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    set(frugal_cuda_code "SHELL:-gencode arch=compute_80,code=[compute_80,sm_80,sm_90]")
  endif()
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(frugal_nvcc nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    mark_as_advanced(frugal_nvcc)
    if(frugal_nvcc)
      set(CMAKE_CUDA_COMPILER "${frugal_nvcc}")
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake 3.25 knows no C++20 flag for nvcc; without one, a target that asks for C++20 stops the generation.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(FRUGAL_HAVE_CUDA ON)
    message(NOTICE "CUDA: nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
  elseif(FRUGAL_CUDA STREQUAL "AUTO")
    message(NOTICE "CUDA: nvcc not found, CUDA sources are not compiled here")
  else()
    message(FATAL_ERROR "FRUGAL_CUDA is ${FRUGAL_CUDA}, but no working nvcc was found (PATH, CUDACXX, /usr/local/cuda)")
  endif()
endif()

# ---- HIP -------------------------------------------------------------------------------------------------------------
if(FRUGAL_HIP)
  if(NOT DEFINED CMAKE_HIP_ARCHITECTURES)
    set(CMAKE_HIP_ARCHITECTURES gfx90a gfx1030)  # wavefronts of 64 and of 32
  endif()
  set(multiarch "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
  set(debian_hip "${multiarch}/cmake/hip-lang/hip-lang-config.cmake")
  set(hip_found OFF)
  if(NOT CMAKE_HIP_COMPILER_ROCM_ROOT AND EXISTS "${debian_hip}")
    # Debian keeps the package that CMake looks for in its multiarch folder, where CMake does not look. A root of our
    # own leads there. Only the clang that the device libraries were built with can read them, and it must be told
    # where they are.
    find_program(frugal_hip_clang NAMES clang++-15)
    mark_as_advanced(frugal_hip_clang)
    if(frugal_hip_clang)
      set(CMAKE_HIP_COMPILER_ROCM_ROOT "${PROJECT_BINARY_DIR}/rocm")
      file(CONFIGURE OUTPUT "${CMAKE_HIP_COMPILER_ROCM_ROOT}/lib/cmake/hip-lang/hip-lang-config.cmake" CONTENT
           "set(CMAKE_LIBRARY_ARCHITECTURE \"${CMAKE_LIBRARY_ARCHITECTURE}\")\ninclude(\"${debian_hip}\")\n")
      set(CMAKE_HIP_COMPILER "${frugal_hip_clang}")
      set(CMAKE_HIP_FLAGS_INIT "--rocm-path=/usr --rocm-device-lib-path=${multiarch}/amdgcn/bitcode")
      set(hip_found ON)
    endif()
  else()
    find_program(frugal_hipconfig hipconfig PATHS /opt/rocm/bin)
    mark_as_advanced(frugal_hipconfig)
    if(frugal_hipconfig OR CMAKE_HIP_COMPILER)
      set(hip_found ON)
    endif()
  endif()
  if(hip_found)
    # CMake keeps one set of these for all languages, and the new one would overwrite that of C++.
    set(pch_of_cxx "${CMAKE_PCH_EXTENSION}" "${CMAKE_PCH_PROLOGUE}")
    enable_language(HIP)
    list(GET pch_of_cxx 0 CMAKE_PCH_EXTENSION)
    list(GET pch_of_cxx 1 CMAKE_PCH_PROLOGUE)
    set(CMAKE_HIP_STANDARD 20)
    set(CMAKE_HIP_EXTENSIONS OFF)
    set(FRUGAL_HAVE_HIP ON)
    message(NOTICE "HIP: clang ${CMAKE_HIP_COMPILER_VERSION}, architectures ${CMAKE_HIP_ARCHITECTURES}")
  elseif(FRUGAL_HIP STREQUAL "AUTO")
    message(NOTICE "HIP: not found, HIP sources are not compiled here")
  else()
    message(FATAL_ERROR "FRUGAL_HIP is ${FRUGAL_HIP}, but no HIP was found (Debian: clang-15, lld-15, llvm-15, clang-tools-15, "
                        "rocm-device-libs, libamdhip64-dev; elsewhere: hipconfig)")
  endif()
endif()
