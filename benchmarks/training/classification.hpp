// SPDX-License-Identifier: Apache-2.0
/// @file What the demo's networks learn, whatever trains them; and runs on several threads.
#pragma once
#include "training/mlp.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <numbers>
#include <thread>
#include <vector>

#include "training/fashion_mnist.hpp"

namespace bench {

/// A perceptron of 784, 256, 128 and 10 units, to tell ten kinds of clothes apart. May be shared by threads.
class classification {
 public:
  /// @param tested how many of the test images are looked at, at most
  classification(fashion_mnist const& s, std::size_t tested)
      : set(s), test_(labelled_images::pixels, std::min(tested, s.test.size())) {
    for (Eigen::Index j = 0; j < test_.cols(); ++j) set.normalized(set.test, std::size_t(j), test_.col(j).data());
  }
  mlp<float> net() const { return mlp<float>({Eigen::Index(labelled_images::pixels), 256, 128, 10}); }

  /// In % of the test images.
  double accuracy(mlp<float>& net, std::span<float const> weights) const {
    std::size_t hits = 0;
    for (Eigen::Index j = 0; j < test_.cols(); j += 500)
      hits += net.correct(weights, test_.middleCols(j, std::min<Eigen::Index>(500, test_.cols() - j)),
                          set.test.label.data() + j);
    return 100 * double(hits) / double(test_.cols());
  }

  fashion_mnist const& set;

 private:
  Eigen::MatrixXf test_;
};

/// Parameters. What Eigen makes of a vector depends on where it begins: these begin at a multiple of its widest
/// register, so that the numbers are the same in every process.
using vector = std::vector<float, Eigen::aligned_allocator<float>>;

/// A batch of training images, ready for the network.
struct training_batch {
  explicit training_batch(int size) : x(labelled_images::pixels, size), label(std::size_t(size)) {}
  void take(fashion_mnist const& from, int place, std::size_t image) {
    from.normalized(from.train, image, x.col(place).data());
    label[std::size_t(place)] = from.train.label[image];
  }
  Eigen::MatrixXf x;
  std::vector<std::uint8_t> label;
};

/// The part of the highest rate that a step takes: a linear warm-up over the first fiftieth, then half a cosine down to
/// zero.
inline double schedule(int step, int steps) {
  return std::min(1.0, 50.0 * (step + 1) / steps) * 0.5 * (1 + std::cos(std::numbers::pi * step / steps));
}

/// f(0) ... f(runs - 1), one to a thread at a time.
template <class F>
void run_all(unsigned threads, int runs, F const& f) {
  std::atomic<int> next{0};
  std::vector<std::exception_ptr> failed(threads);
  {
    std::vector<std::jthread> all;
    for (unsigned t = 0; t < threads; ++t)
      all.emplace_back([&, t] {
        try {
          for (int run; (run = next++) < runs;) f(run);
        } catch (...) {
          failed[t] = std::current_exception();
        }
      });
  }
  for (std::exception_ptr const& e : failed)
    if (e) std::rethrow_exception(e);
}

}  // namespace bench
