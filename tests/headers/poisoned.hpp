// SPDX-License-Identifier: Apache-2.0
// Read before a public header: all that frugal's headers include from elsewhere, and then the macros that other headers
// are known for, as text that no program survives. What libraries of one's own define cannot be listed; these are what
// a system's headers define, and the two that Windows' made famous. Qt's `slots` is not among them: see
// docs/testing.md.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <compare>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#endif
#if __has_include(<mpi.h>)
#include <mpi.h>
#endif
#if __has_include(<Eigen/QR>)
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#endif
#if __has_include(<tbb/parallel_for.h>)
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#endif
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif
#if __has_include(<thrust/version.h>)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#include <thrust/device_ptr.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/mr/memory_resource.h>
#endif

// clang-format off
#define min(a, b) <= no
#define max(a, b) <= no
// windows.h
#define small <= no
#define near <= no
#define far <= no
#define interface <= no
#define pascal <= no
#define cdecl <= no
#define IN <= no
#define OUT <= no
#define OPTIONAL <= no
#define CONST <= no
#define VOID <= no
#define STRICT <= no
#define DELETE <= no
#define ERROR <= no
#define IGNORE <= no
#define INFINITE <= no
#define TRUE <= no
#define FALSE <= no
#define BOOL <= no
// X.h, Xlib.h
#define None <= no
#define Bool <= no
#define Status <= no
#define Success <= no
#define True <= no
#define False <= no
#define Always <= no
#define Above <= no
#define Below <= no
#define Complex <= no
#define Convex <= no
#define Unsorted <= no
#define Expose <= no
#define FocusIn <= no
#define FocusOut <= no
// complex.h, with -std=gnu++20
#undef I
#undef complex
#undef imaginary
#define I <= no
#define complex <= no
#define imaginary <= no
// sys/sysmacros.h, sys/param.h
#undef major
#undef minor
#undef makedev
#undef MIN
#undef MAX
#define major(x) <= no
#define minor(x) <= no
#define makedev(x, y) <= no
#define MIN(a, b) <= no
#define MAX(a, b) <= no
#define howmany(x, y) <= no
#define roundup(x, y) <= no
#define powerof2(x) <= no
// ctype.h of BSD and newlib
#define _A <= no
#define _B <= no
#define _C <= no
#define _L <= no
#define _N <= no
#define _P <= no
#define _S <= no
#define _U <= no
#define _X <= no
// math.h, termios.h, curses.h, assert.h
#undef assert
#undef DOMAIN
#undef OVERFLOW
#undef UNDERFLOW
#define assert(x) <= no
#define DOMAIN <= no
#define SING <= no
#define OVERFLOW <= no
#define UNDERFLOW <= no
#define HUGE <= no
#define ECHO <= no
#define OK <= no
#define ERR <= no
#define B0 <= no
// what g++ defines without -std=c++20
#undef unix
#undef linux
#define unix <= no
#define linux <= no
// config.h, and what programs define of their own
#define VERSION <= no
#define PACKAGE <= no
#define DEBUG <= no
#define PI <= no
#define EPS <= no
#define LOG <= no
#define CHECK <= no
#define ASSERT <= no
#define UNROLL <= no
#define HOST <= no
#define DEVICE <= no
// clang-format on
