// SPDX-License-Identifier: Apache-2.0
// What every error feedback must do: feedback_suite.cpp, compiled once for all of them. The test file of one describes
// it
//
//   struct ef21 : feedback_subject { ... };
//   INSTANTIATE_TEST_SUITE_P(ef21, feedback_suite, testing::Values(...));
//
// and tests what only it does.
#pragma once
#include <frugal/compress/feedback.hpp>
#include <frugal/compress/identity.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>

#include "compressor_suite.hpp"

namespace frugal_test {

// A world of ranks whose messages are at hand: what came from each, this rank's own among them.
struct known_world {
  int me;
  std::vector<bytes> from;
  int rank() const { return me; }
  int size() const { return int(from.size()); }
  template <class B, class M>
  std::vector<bytes> all_gather_bytes(B const&, M const&) const {
    return from;
  }
};

// An error feedback on a machine, as seen from the host.
struct memory {
  virtual ~memory() = default;
  virtual bytes compress(std::vector<float> const& g, double eta, frugal::index_t offset = 0) = 0;
  virtual std::vector<float> add_to(std::vector<float> const& x, wire, double scale, frugal::message_stamp) = 0;
  virtual std::vector<float> add_mean(known_world, std::vector<float> const& x, double scale = 1) = 0;
  virtual frugal::snapshot save() = 0;
  virtual void restore(frugal::snapshot const&) = 0;
  virtual void reset() = 0;
  virtual void set(int state, std::vector<float> const&) = 0;
  virtual std::int64_t round() const = 0;
  virtual std::size_t state_bytes() const = 0;
  virtual long allocated() const = 0;  // by the last compress()
  virtual void move_object() = 0;
};

template <class Feedback, class Backend>
class memory_of final : public memory {
 public:
  template <class... A>
  memory_of(Backend const& b, A const&... a) : backend_(b), feedback_(b, a...) {}
  bytes compress(std::vector<float> const& g, [[maybe_unused]] double eta, frugal::index_t offset) override {
    const there<float, Backend> d(backend_, g, offset);
    const long before = allocations;
    frugal::message const* m;
    if constexpr (requires { feedback_.compress(d.constant(), eta); }) m = &feedback_.compress(d.constant(), eta);
    else m = &feedback_.compress(d.constant());
    allocated_ = allocations - before;
    return bytes_of(*m);
  }
  std::vector<float> add_to(std::vector<float> const& x, wire m, double scale, frugal::message_stamp s) override {
    const there<float, Backend> d(backend_, x);
    feedback_.add_to(d.all(), m, scale, s);
    return d.get();
  }
  std::vector<float> add_mean(known_world world, std::vector<float> const& x, double scale) override {
    const there<float, Backend> d(backend_, x);
    try {
      feedback_.add_mean(world, d.all(), scale);
    } catch (frugal::invalid_argument const&) {
      EXPECT_TRUE(same_bits(x, d.get())) << "changed, though refused";
      throw;
    }
    return d.get();
  }
  frugal::snapshot save() override { return frugal::save_state(feedback_); }
  void restore(frugal::snapshot const& s) override { frugal::restore_state(feedback_, s); }
  void reset() override { feedback_.reset(); }
  void set(int state, std::vector<float> const& v) override { frugal::to_backend(backend_, feedback_.state(state), v); }
  std::int64_t round() const override { return feedback_.round(); }
  std::size_t state_bytes() const override { return feedback_.state_bytes(); }
  long allocated() const override { return allocated_; }
  void move_object() override {
    Feedback other = std::move(feedback_);
    feedback_ = std::move(other);
  }

 private:
  Backend backend_;
  Feedback feedback_;
  long allocated_ = 0;
};

// With which compressor: a value here, so that a test is compiled once.
enum class with { identity, top_k, sign, sign_blocks };
inline constexpr with all_compressors[] = {with::identity, with::top_k, with::sign, with::sign_blocks};

struct feedback_subject {
  std::string name;                 // of its golden cases
  std::vector<std::string> states;  // the first is the memory
  bool estimates;  // the gradient: the server keeps the mean and moves by it (EF21); else it moves by D
  std::function<std::unique_ptr<memory>(machine const&, frugal::layout const&, with, std::int32_t sender)> make;
};
// Not every product is worth its time to compile: without compression the serial backend stands for all, and tbb and
// serial share their loops over elements.
template <template <class, class> class Feedback>
std::unique_ptr<memory> make_memory(machine const& m, frugal::layout const& l, with c, std::int32_t sender) {
  const auto on = [&]<class B, class C>(B const& b, C how) -> std::unique_ptr<memory> {
    return std::make_unique<memory_of<Feedback<C, B>, B>>(b, l, how, sender);
  };
  const frugal::serial_backend here;
  const frugal::emulated_backend there({.seed = m.seed, .lanes = m.lanes > 0 ? m.lanes : 1});
  if (c == with::identity) return on(here, frugal::identity{});
  if (c == with::top_k) {
    const frugal::top_k how =
        l.size() <= 20 ? frugal::top_k{.k = std::min<frugal::index_t>(3, l.size())} : frugal::top_k{.ratio = 0.03};
    return m.lanes > 0 ? on(there, how) : on(here, how);
  }
  const frugal::scaled_sign how{.block = c == with::sign ? 0 : 256};
  if (m.threads > 0) return on(frugal::tbb_backend(m.threads), how);
  return m.lanes > 0 ? on(there, how) : on(here, how);
}

class feedback_suite : public testing::TestWithParam<feedback_subject> {
 public:
  static feedback_subject const& subject() { return GetParam(); }
  static std::unique_ptr<memory> make(machine const& m, frugal::layout const& l, with c = with::top_k,
                                      std::int32_t sender = 0) {
    return GetParam().make(m, l, c, sender);
  }
};

}  // namespace frugal_test
