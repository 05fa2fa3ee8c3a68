// SPDX-License-Identifier: Apache-2.0
/// @file Runs of random words and normal numbers in the first-level cache, against a loop over Random123's generator.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>

#include "support/suite.hpp"

#if __has_include(<Random123/philox.h>)
#include <Random123/philox.h>
#define BENCH_RANDOM123 1
#else
#define BENCH_RANDOM123 0
#endif

namespace bench {

/// A team makes a run of 4 `blocks` numbers: words, or normal numbers for floats.
template <class T>
struct random_run {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 0;
  std::uint64_t dir;
  frugal::index_t blocks;
  T* to;
  frugal::index_t teams() const { return 1; }
  template <class Team>
  void operator()(Team const& team) const {
    if constexpr (std::is_same_v<T, float>) team.normals({42}, dir, 0, blocks, to);
    else team.words({42}, dir, 0, blocks, to);
  }
};

/// @param name what is appended to the names of cases
inline void random_numbers(session const& s, std::string const& name) {
  std::size_t const n = s.elements(12);
  frugal::index_t const blocks = frugal::index_t(n / 4);
  frugal::serial_backend const cpu;
  std::vector<std::uint32_t> words(n);
  std::vector<float> normals(n);
  std::uint64_t dir = 0;
  table t(n, 1);
  auto& w = t.add("words" + name, 4, [&] { cpu.for_teams(random_run<std::uint32_t>{++dir, blocks, words.data()}); });
#if BENCH_RANDOM123
  w.against("random123" + name, 1 / 2.8);
  t.add("random123" + name, 4, [&] {
    ++dir;
    r123::Philox4x32 philox;
    r123::Philox4x32::key_type const key{{42, 0}};
    std::uint32_t* const to = words.data();
    for (std::uint64_t b = 0; b < std::uint64_t(blocks); ++b) {
      r123::Philox4x32::ctr_type const counter{{std::uint32_t(b), std::uint32_t(b >> 32), std::uint32_t(dir), 0}};
      auto const block = philox(counter, key);
      for (std::size_t k = 0; k < 4; ++k) to[4 * b + k] = block[k];
    }
  });
#else
  (void)w;
  std::fputs("random: Random123 is not installed (librandom123-dev), so nothing is compared with it\n", stderr);
#endif
  t.add("normals" + name, 4, [&] {
     cpu.for_teams(random_run<float>{++dir, blocks, normals.data()});
   }).against("words" + name, 1.8);
  s.measure(t);
}

}  // namespace bench
