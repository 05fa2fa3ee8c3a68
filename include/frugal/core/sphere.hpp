// SPDX-License-Identifier: Apache-2.0
/// @file Directions on the sphere of radius sqrt(d): normal numbers times one factor. The sum that it takes is one of
/// integers, so it has no order, and the factor has the same bits on every backend and any split.
#pragma once
#include "layout.hpp"
#include "normal.hpp"
#include "scan.hpp"
#include "value.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Consecutive coordinates, the first at the start of a block.
struct coordinate_run {
  std::uint64_t first;
  index_t size;
};

/// |z| as a multiple of 2^-20, to nearest, ties to even: z 2^20 is exact and below 2^23.
FRUGAL_FN std::uint32_t fixed_magnitude(float z) {
  const float magnitude = bit_cast<float>(bit_cast<std::uint32_t>(z) & 0x7fffffff);
  return bit_cast<std::uint32_t>(magnitude * 0x1p20f + 0x1p23f) & 0x007fffff;
}

/// The sum of the squares of the fixed-point normals of each run, of at most 2^18 coordinates (2^46 each): a team a
/// run.
struct run_squares {
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr index_t piece = 1024;
  static constexpr int scratch_bytes = int(piece) * int(sizeof(float));
  static_assert(scratch_bytes >= 2 * int(sharing_lanes) * int(sizeof(std::uint64_t)), "for the sum over lanes");
  random_stream stream;
  std::uint64_t dir;
  coordinate_run const* runs;
  index_t count;
  std::uint64_t* sums;

  index_t teams() const { return count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const coordinate_run run = runs[team.rank()];
    float* const z = team.template scratch<float>();
    std::uint64_t sum = 0;
    for (index_t from = 0; from < run.size; from += piece) {
      const index_t n = run.size - from < piece ? run.size - from : piece;
      team.normals(stream, dir, (run.first + std::uint64_t(from)) / 4, (n + 3) / 4, z);
      team.sync();
      const share mine = share_of(team, n);
      for (index_t j = mine.begin; j < mine.end; ++j) {
        const std::uint64_t q = fixed_magnitude(z[j]);
        sum += q * q;
      }
      team.sync();
    }
    const std::uint64_t before = sum_before(team, sum);
    const unsigned lanes = team.lanes() < sharing_lanes ? team.lanes() : unsigned(sharing_lanes);
    if (team.lane() == lanes - 1) sums[team.rank()] = before + sum;
  }
};

/// The upper and the lower halves of sums, to be added apart.
struct half_sums {
  using value = std::uint64_t;
  std::uint64_t const* in;
  index_t n;
  struct opened {
    std::uint64_t const* in;
    index_t size;
    int shift;
    FRUGAL_FN std::uint64_t weight(index_t i) const { return in[i] >> shift & 0xffffffffu; }
  };
  FRUGAL_FN index_t tiles() const { return 2; }
  FRUGAL_FN opened open(index_t tile) const { return {in, n, tile == 0 ? 32 : 0}; }
};

}  // namespace detail

/// The factor that takes the normal numbers z of a direction, over all coordinates of a layout, to the sphere of radius
/// sqrt(d). Allocates in the constructor. With q = the integer nearest to z 2^20 (ties to even) and S = the sum of q^2,
/// as a double (a sum of 0 counts as 1), the factor is ((sqrt(d) 2^20) / sqrt(S)), each operation rounded once.
template <team_backend Backend>
class sphere {
 public:
  /// @param l of at least one coordinate
  sphere(Backend b, layout const& l) : backend_(b), size_(l.size()) {
    require(size_ > 0, "the dimension of a sphere", "at least 1", size_);
    std::vector<detail::coordinate_run> runs;
    for (tensor const& t : l.tensors())
      for (index_t at = 0; at < t.size; at += tile_size)
        runs.push_back({t.address + std::uint64_t(at), t.size - at < tile_size ? t.size - at : tile_size});
    runs_ = buffer<detail::coordinate_run, Backend>(b, runs);
    sums_ = buffer<std::uint64_t, Backend>(b, runs_.size() + 2);
  }

  /// Waits for the backend.
  double scale(random_stream s, std::uint64_t dir) {
    const index_t n = runs_.size();
    backend_.for_teams(detail::run_squares{s, dir, runs_.data(), n, sums_.data()});
    backend_.for_teams(detail::tile_totals<detail::half_sums>{{sums_.data(), n}, sums_.data() + n});
    std::uint64_t halves[2];
    backend_.copy_out(halves, sums_.data() + n, sizeof halves);
    const std::uint64_t high = halves[0] + (halves[1] >> 32), low = halves[1] & 0xffffffffu;
    const exact sum = exact(double(high)) * exact(0x1p32) + exact(double(low));  // rounded once
    return (sqrt(exact(double(size_))) * exact(0x1p20) / sqrt(larger(sum, exact(1.0)))).v[0];
  }

 private:
  Backend backend_;
  index_t size_;
  buffer<detail::coordinate_run, Backend> runs_;
  buffer<std::uint64_t, Backend> sums_;
};

/// For one direction. Allocates.
template <team_backend Backend>
double sphere_scale(Backend const& b, random_stream s, std::uint64_t dir, layout const& l) {
  return sphere<Backend>(b, l).scale(s, dir);
}

}  // namespace v0
}  // namespace frugal
