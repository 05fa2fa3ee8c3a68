// SPDX-License-Identifier: Apache-2.0
/// @file Step Law: the peak rate and the batch with which pre-training a language model ends best, from its size and
/// its data. Li et al., "Predictable Scale: Part I, Step Law - Optimal Hyperparameter Scaling Law in Large Language
/// Model Pretraining", 2025:
///
///     lr = 1.79 N^-0.713 D^0.307        batch = 0.58 D^0.571
#pragma once
#include <cmath>

#include "../core/error.hpp"

namespace frugal {
inline namespace v0 {

struct step_law_optimum {
  double lr;            ///< peak rate of AdamW
  double batch_tokens;  ///< of a step; divide by the length of a sequence
};

/// A fit, under conditions that docs/schedules.md tells.
/// @param parameters N, without embeddings; in [1e6, 1e12]
/// @param tokens D, of all training; in [1e8, 1e15]
inline step_law_optimum step_law(double parameters, double tokens) {
  require_range("the parameters of a model", parameters, 1e6, 1e12, true);
  require_range("the tokens of a training", tokens, 1e8, 1e15, true);
  return {1.79 * std::pow(parameters, -0.713) * std::pow(tokens, 0.307), 0.58 * std::pow(tokens, 0.571)};
}

}  // namespace v0
}  // namespace frugal
