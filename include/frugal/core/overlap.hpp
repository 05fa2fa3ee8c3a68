// SPDX-License-Identifier: Apache-2.0
/// @file Arguments that must not share memory: what a call writes overlaps nothing; what it only reads may be read
/// twice.
#pragma once
#include <algorithm>
#include <vector>

#include "error.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Keeps its list between calls, so that a call allocates nothing.
class overlap_check {
 public:
  overlap_check() = default;
  explicit overlap_check(std::size_t spans) { spans_.reserve(spans); }
  void clear() { spans_.clear(); }
  template <class T>
  void add(T const* p, index_t n, bool written) {
    const auto begin = reinterpret_cast<std::uintptr_t>(p);
    if (n > 0) spans_.push_back({begin, begin + std::uintptr_t(n) * sizeof(T), written});
  }
  void refuse_overlap(char const* what) {
    std::sort(spans_.begin(), spans_.end(), [](span const& a, span const& b) { return a.begin < b.begin; });
    std::uintptr_t end = 0, end_of_written = 0;
    for (span const& s : spans_) {
      require(s.begin >= (s.written ? end : end_of_written), what, "memory of their own each", "an overlap");
      end = (std::max)(end, s.end);
      if (s.written) end_of_written = (std::max)(end_of_written, s.end);
    }
  }

 private:
  struct span {
    std::uintptr_t begin, end;
    bool written;
  };
  std::vector<span> spans_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
