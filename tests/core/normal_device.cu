// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/normal.hpp>
#include <frugal/core/random_format.hpp>
#include <frugal/core/sphere.hpp>

#include "support/device.hpp"

template class frugal::sphere<frugal_test::device_backend>;

namespace frugal_test {

// One pair of words a lane: what a pair costs, by itself.
struct pairs_of_words {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 0;
  std::uint32_t const* words;
  frugal::normal_pair* to;
  frugal::index_t count;
  frugal::index_t teams() const { return (count + team_threads - 1) / team_threads; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const frugal::index_t begin = team.rank() * team_threads, end = begin + team_threads;
    for (frugal::index_t i = begin + team.lane(); i < end && i < count; i += team.lanes())
      to[i] = frugal::to_normals(words[2 * i], words[2 * i + 1]);
  }
};

bool normals_on_device(device_backend const& b) {
  frugal::require_random_format(b);  // of the checksums, on the device
  const frugal::layout l{{"a", {5}}, {"b", {40000}}};
  const frugal::random_stream s{3};
  if (frugal::sphere_scale(b, s, 1, l) != frugal::sphere_scale(frugal::serial_backend{}, s, 1, l)) return false;
  std::vector<std::uint32_t> words;
  for (std::uint64_t j = 0; j < 1 << 20; ++j) words.push_back(s.word(7, j));
  frugal::buffer<std::uint32_t, device_backend> w(b, words);
  frugal::buffer<frugal::normal_pair, device_backend> z(b, w.size() / 2);
  b.for_teams(pairs_of_words{w.data(), z.data(), z.size()});
  const auto all = frugal::to_host(b, z.view());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const frugal::normal_pair want = frugal::to_normals(words[2 * i], words[2 * i + 1]);
    if (std::memcmp(&all[i], &want, sizeof want) != 0) return false;
  }
  return true;
}

}  // namespace frugal_test

[[maybe_unused]] static const int added = frugal_test::add_device_check("normals", &frugal_test::normals_on_device);
