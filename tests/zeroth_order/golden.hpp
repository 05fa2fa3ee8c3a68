// SPDX-License-Identifier: Apache-2.0
// MeZO against golden/mezo.txt.
#pragma once
#include <frugal/zeroth_order/mezo.hpp>

#include "support/backends.hpp"
#include "support/golden.hpp"

namespace frugal_test {

// f(kind) with the kind of direction that is named.
template <class F>
auto with_direction(std::string const& name, F const& f) {
  if (name == "gaussian") return f(frugal::gaussian{});
  EXPECT_EQ(name, "rademacher");
  return f(frugal::rademacher{});
}

// on(run): what run(backend) gives, on whichever backends.
template <class On>
void check_golden(On const& on) {
  const frugal::layout l({{"a", {3, 11}}, {"b", {1}, "slow"}, {"c", {6}}},
                         {{.name = "slow", .lr = 0.5, .weight_decay = 0}});
  const auto cases = read_golden("mezo.txt");
  ASSERT_EQ(cases.size(), 6u);
  for (golden_case const& c : cases) {
    const auto run = [&](auto const& backend) {
      return with_direction(c.words("direction")[0], [&](auto kind) {
        frugal::mezo zo(backend, l,
                        {.lr = 0.05,
                         .epsilon = c.config("epsilon"),
                         .weight_decay = c.config("weight_decay"),
                         .momentum = c.config("momentum"),
                         .seed = std::uint64_t(c.config("seed"))},
                        kind);
        const there<float, std::remove_cvref_t<decltype(backend)>> x(backend, c.numbers<float>("x0"), 3),
            y(backend, c.numbers<float>("x0"));
        std::vector<float> all;
        const auto append = [&](std::vector<float> const& now) { all.insert(all.end(), now.begin(), now.end()); };
        for (std::size_t t = 0; t < c.count("step"); ++t) {
          const auto p = c.numbers<double>("p", t);
          if (t == 0 || t == 6) {
            zo.shift(x.all(), int(p.size()) - 1, -2, y.all());
            append(y.get());
          }
          zo.config().lr = c.number<double>("lr", t);
          zo.apply(x.all(), zo.update(p));
          append(x.get());
        }
        EXPECT_EQ(zo.steps(), 20);
        const auto m = piece<float>(frugal::save_state(zo), "m");
        append(m.empty() ? std::vector<float>(40) : m);
        return all;
      });
    };
    std::vector<float> expected;
    const auto append = [&](std::string const& key, std::size_t at) {
      for (float v : c.numbers<float>(key, at)) expected.push_back(v);
    };
    for (std::size_t t = 0; t < 20; ++t) {
      if (t == 0 || t == 6) append("probe", t / 6);
      append("x", t);
    }
    append("m", 0);
    EXPECT_TRUE(same_bits(on(run), expected)) << c.name;
  }
}

}  // namespace frugal_test
