// SPDX-License-Identifier: Apache-2.0
// This processor's widest registers against lanes of four: the bits are the same.
#include <frugal/sharing/roast.hpp>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

template <class Backend>
std::vector<float> everything(Backend const& b, frugal::layout const& l, index_t m, index_t offset) {
  frugal::roast r(b, l, {.slots = m, .seed = 2, .scales = {0.3, 2, 1.1}});
  there<float, Backend> z(b, std::vector<float>(std::size_t(m)), offset), dz(b, std::vector<float>(std::size_t(m)));
  there<float, Backend> w(b, std::vector<float>(std::size_t(l.size())), offset), g(b, numbers(l.size(), 9), offset);
  r.initialise(z.all());
  r.forward(z.constant(), w.all());
  r.backward(g.constant(), dz.all());
  std::vector<float> out = w.get();
  for (float x : dz.get()) out.push_back(x);
  return out;
}

TEST(roast_native, gives_the_same_bits) {
  const frugal::emulated_backend emulated{{.seed = 4, .lanes = 3}};
  for (auto const& l : {frugal::layout{{"a", {300}}, {"b", {70, 31}}, {"c", {5}}},
                        frugal::layout{{"a", {40000}}, {"b", {3}}, {"c", {20001}}}})
    for (index_t m : {17, 1000, 5000, 30000})
      for (index_t offset : {0, 3})
        EXPECT_TRUE(same_bits(everything(emulated, l, m, 0), everything(frugal::serial_backend{}, l, m, offset)))
            << m << " slots, offset " << offset;
}

}  // namespace
