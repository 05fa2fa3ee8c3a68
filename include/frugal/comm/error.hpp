// SPDX-License-Identifier: Apache-2.0
/// @file What can go wrong between ranks.
#pragma once
#include "../core/error.hpp"

namespace frugal {
inline namespace v0 {

/// Ranks that disagree about what they are doing, that wait for each other, that failed; a transport that failed. The
/// text names the ranks, what was expected and what was got.
class comm_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace v0
}  // namespace frugal
