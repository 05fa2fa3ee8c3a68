// SPDX-License-Identifier: Apache-2.0
/// @file Does this program, as it was compiled, make the random numbers of the format? What flags and modes can break
/// cannot all be seen by the compiler, so an algorithm that sends seeds in place of numbers asks when it is
/// constructed.
#pragma once
#include <atomic>

#include "buffer.hpp"
#include "hash.hpp"
#include "normal.hpp"

namespace frugal {
inline namespace v0 {

/// A backend's words or normal numbers are not those of the format.
class random_format_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Philox's known answers, normals of pairs of words at the edges of every case, and 4096 ordinary ones.
struct random_sample {
  static constexpr unsigned team_threads = 128;
  static constexpr int scratch_bytes = 0;
  static constexpr index_t edges = 25, pairs_at = 12, normals_at = 1264, size = normals_at + 4096;
  std::uint32_t const* edge;
  std::uint32_t* to;  // aligned to 16 bytes

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    team.words(random_stream{0}, 0, 0, 1, to);
    team.words(random_stream{~std::uint64_t(0)}, ~std::uint64_t(0), ~std::uint64_t(0), 1, to + 4);
    team.words(random_stream{0x299f31d0a4093822u}, 0x0370734413198a2eu, 0x85a308d3243f6a88u, 1, to + 8);
    for (index_t i = team.lane(); i < edges * edges; i += team.lanes()) {
      const normal_pair z = to_normals(edge[i / edges], edge[i % edges]);
      to[pairs_at + 2 * i] = bit_cast<std::uint32_t>(z.z0);
      to[pairs_at + 2 * i + 1] = bit_cast<std::uint32_t>(z.z1);
    }
    team.normals(random_stream{42}, 0, 0, (size - normals_at) / 4, reinterpret_cast<float*>(to + normals_at));
  }
};

/// Throws random_format_error if a sample is not that of the format.
inline void check_random_sample(std::vector<std::uint32_t> const& sample, char const* backend) {
  const auto check = [&](char const* what, index_t from, index_t to, std::uint64_t expected) {
    fnv1a sum;  // of the bytes, lower words first
    for (index_t i = from; i < to; i += 2)
      sum.add(sample[std::size_t(i)] | std::uint64_t(sample[std::size_t(i + 1)]) << 32);
    if (sum.value() != expected)
      FRUGAL_THROW(random_format_error(
          text("frugal: the ", what, " of backend '", backend,
               "' are not those of the random format, which every other machine has: not compiled for IEEE arithmetic "
               "(-ffast-math, -funsafe-math-optimizations, -fassociative-math, -mrecip, -mfpmath=387), or the rounding "
               "mode is not to nearest (fesetround, MXCSR)")));
  };
  check("random words", 0, 12, 0x4527e6c897fa5208u);
  check("normal numbers at the edges", random_sample::pairs_at, random_sample::pairs_at + 1250, 0xacb1ffdec5572850u);
  check("normal numbers", random_sample::normals_at, random_sample::size, 0x3d884cc129d55c83u);
}

/// Of the device that is current, where a backend has several.
template <class Backend>
int device_of(Backend const& b) {
  if constexpr (requires { b.device(); }) return b.device();
  else return 0;
}

}  // namespace detail

/// Makes a sample of random numbers on the backend and throws random_format_error if they are not those of the format.
/// Does so once a kind of backend and device; then it costs nothing. Cannot see that a thread's rounding mode changes
/// later.
template <team_backend Backend>
void require_random_format(Backend const& b) {
  static std::atomic<std::uint64_t> passed{0};  // a bit a device
  const std::uint64_t device = std::uint64_t(1) << (detail::device_of(b) & 63);
  if (passed.load(std::memory_order_relaxed) & device) return;
  using u32 = std::uint32_t;
  const std::vector<u32> edges = {0,          1,          2,          3,          0x3f,       0x40,       0x41,
                                  0x3fffffff, 0x40000000, 0x55555555, 0x7fffffbf, 0x7fffffc0, 0x7fffffff, 0x80000000,
                                  0x80000001, 0x80000002, 0x80000041, 0xc0000000, 0xaaaaaaab, 0xfffffffe, 0xffffffff,
                                  0x2aaaaaaa, 0x2aaaaaab, 0x00400000, 0x003fffff};
  const buffer<u32, Backend> edge(b, edges), sample(b, detail::random_sample::size);
  b.for_teams(detail::random_sample{edge.data(), sample.data()});
  detail::check_random_sample(to_host(b, sample.view()), Backend::name);
  passed.fetch_or(device, std::memory_order_relaxed);
}

}  // namespace v0
}  // namespace frugal
