// SPDX-License-Identifier: Apache-2.0
// What every optimizer of an element rule must do: optimizer_suite.cpp, compiled once for all of them. The test file of
// an optimizer describes it in a struct
//
//   template <class B, class S, class P, class T> using optimizer = ...;   using config = ...;
//   static constexpr char const* name;         // of the golden files
//   static constexpr bool nan_reaches_x;       // false: a NaN in the gradient is a step of zero
//   static std::vector<std::string> states();  // names of its states
//   static config from(golden_case const&);    // the hyper-parameters of a golden case
//   static config usual();                     // with weight decay
//   static constexpr reach moves = ...;        // optional: what the step of an element depends on, if not on itself
//   static constexpr bool anchored = true;     // optional: it keeps a copy of the parameters
//   static constexpr bool remembers_rates = true;  // optional: later steps depend on the rates of earlier ones
//
// and says INSTANTIATE_TEST_SUITE_P(name, optimizer_suite, the<that struct>());
#pragma once
#include "driver_of.hpp"
#include "golden.hpp"

namespace frugal_test {

// What the step of an element depends on.
enum class reach { itself, its_tensor, the_model };

// An optimizer, as the suite sees it. Without a golden case: with its usual hyper-parameters.
struct subject {
  std::string name;
  bool nan_reaches_x;
  std::vector<std::string> states;
  reach moves = reach::itself;
  bool anchored = false;  // keeps a copy of the parameters
  bool remembers_rates = false;

  virtual ~subject() = default;
  virtual std::unique_ptr<driver<float>> make(machine const&, frugal::layout const&, std::vector<float> const& x0,
                                              stored = stored::full, golden_case const* = nullptr,
                                              arrangement const& = {}) const = 0;
  virtual std::unique_ptr<driver<double>> make_double(golden_case const&, std::vector<double> const& x0) const = 0;
};

template <class Description>
struct subject_of final : subject {
  subject_of() : subject{} {
    name = Description::name;
    nan_reaches_x = Description::nan_reaches_x;
    states = Description::states();
    if constexpr (requires { Description::moves; }) moves = Description::moves;
    if constexpr (requires { Description::anchored; }) anchored = Description::anchored;
    if constexpr (requires { Description::remembers_rates; }) remembers_rates = Description::remembers_rates;
  }
  std::unique_ptr<driver<float>> make(machine const& m, frugal::layout const& l, std::vector<float> const& x0, stored s,
                                      golden_case const* c, arrangement const& a) const override {
    return frugal_test::make<Description>(m, l, x0, c ? Description::from(*c) : Description::usual(), s, a);
  }
  std::unique_ptr<driver<double>> make_double(golden_case const& c, std::vector<double> const& x0) const override {
    return frugal_test::make<Description, double>(serial(), x0.size(), x0, Description::from(c));
  }
};
template <class Description>
auto the() {
  static const subject_of<Description> one;
  return testing::Values<subject const*>(&one);
}

class optimizer_suite : public testing::TestWithParam<subject const*> {
 public:
  static subject const& optimizer() { return *GetParam(); }
};

struct outcome {
  std::vector<float> x;
  frugal::snapshot state;
};
inline testing::AssertionResult same_bits(outcome const& a, outcome const& b) {
  const auto x = same_bits(a.x, b.x);
  return x ? same_bits(a.state, b.state) : x;
}

inline std::vector<float> start_of(frugal::layout const& l) { return numbers(l.size(), 99); }
inline std::vector<float> gradient_of(frugal::layout const& l, int t) { return numbers(l.size(), std::uint64_t(t)); }
template <class Driver>
void take_steps(Driver& d, frugal::layout const& l, int first, int last) {
  for (int t = first; t <= last; ++t) d.step(gradient_of(l, t));
}
template <class Driver>
outcome outcome_of(Driver& d) {
  return {d.x(), d.save()};
}
inline std::vector<float> part(std::vector<float> const& v, frugal::tensor const& t) {
  return {v.begin() + t.offset, v.begin() + t.offset + t.size};
}

}  // namespace frugal_test
