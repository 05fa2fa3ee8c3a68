// SPDX-License-Identifier: Apache-2.0
/// @file How far the work is: one line that is redrawn on a terminal, a line for every tenth elsewhere.
#pragma once
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace bench {

/// Threads may advance it at the same time.
class progress {
 public:
  void start(std::string what, double total) {
    std::lock_guard const lock(mutex_);
    what_ = std::move(what);
    total_ = total;
    done_ = 0;
    tenths_ = -1;
    begin_ = clock::now();
    draw();
  }
  void advance(double by) {
    std::lock_guard const lock(mutex_);
    done_ += by;
    draw();
  }

 private:
  using clock = std::chrono::steady_clock;

  void draw() {
    double const share = total_ > 0 ? std::min(done_ / total_, 1.0) : 1,
                 seconds = std::chrono::duration<double>(clock::now() - begin_).count();
    bool const finished = share > 1 - 1e-9;
    if (terminal_) {
      constexpr int width = 28;
      int const full = int(share * width);
      std::fprintf(stderr, "\r\033[K%-34s %s%s %3.0f %%  %.1f s", what_.c_str(),
                   std::string(std::size_t(full), '#').c_str(), std::string(std::size_t(width - full), '.').c_str(),
                   100 * share, seconds);
      if (finished) std::fputc('\n', stderr);
      else if (share > 0.05) std::fprintf(stderr, ", %.0f s to go", seconds * (1 / share - 1));
      std::fflush(stderr);
    } else if (int const tenths = finished ? 10 : int(share * 10); tenths > tenths_) {
      tenths_ = tenths;
      std::fprintf(stderr, "%s: %d %%, %.1f s\n", what_.c_str(), 10 * tenths, seconds);
    }
  }

  std::mutex mutex_;
  std::string what_;
  double total_ = 0, done_ = 0;
  int tenths_ = -1;
  clock::time_point begin_;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
};

}  // namespace bench
