// SPDX-License-Identifier: Apache-2.0
// Where parameters and gradients are: told to the backend when they move, and only then; unchanged by what is refused.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/core/located_model.hpp>

#include "support/backends.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::layout;

template <class Backend>
struct model {
  using space = typename Backend::space;
  explicit model(Backend const& b) : backend(b), memory(b, std::vector<float>(20, 0.f)), located(b, tensors) {}

  bool locate(index_t x, index_t g) {
    using frugal::view;
    return located.locate(backend, tensors, view<float, space>(at(x), 5), view<float const, space>(at(g), 5));
  }
  float* at(index_t i) const { return memory.all().data() + i; }
  // Where the backend's tables say that the tensors are.
  void expect(index_t x, index_t g) const {
    float *xs[2], *gs[2];
    backend.copy_out(xs, located.xs_there(), sizeof xs);
    backend.copy_out(gs, located.gs_there(), sizeof gs);
    for (int t = 0; t < 2; ++t) {
      const index_t begin = tensors.tensors()[std::size_t(t)].offset;
      EXPECT_EQ(xs[t], at(x + begin));
      EXPECT_EQ(gs[t], at(g + begin));
      EXPECT_EQ(located.x(t), xs[t]);
      EXPECT_EQ(located.g(t), gs[t]);
    }
  }

  Backend backend;
  layout tensors{{"a", {2}}, {"b", {3}}};
  there<float, Backend> memory;
  frugal::detail::located_model<float, float, Backend> located;
};

template <class Backend>
void moves(Backend const& b) {
  model<Backend> m(b);
  EXPECT_TRUE(m.locate(0, 5));
  m.expect(0, 5);
  EXPECT_FALSE(m.locate(0, 5));
  EXPECT_TRUE(m.locate(0, 10)) << "gradients alone";
  m.expect(0, 10);
  EXPECT_TRUE(m.locate(5, 10)) << "parameters alone";
  m.expect(5, 10);
  EXPECT_TRUE(refused([&] { m.locate(4, 8); }, "parameters and gradients", "memory of their own each", "an overlap"));
  m.expect(5, 10);
  EXPECT_FALSE(m.locate(5, 10)) << "what was refused has changed nothing";
  const auto x = [&](frugal::tensor const& t) { return m.at(15 + t.offset); };
  const auto g = [&](frugal::tensor const& t) { return static_cast<float const*>(m.at(10 + t.offset)); };
  EXPECT_TRUE(m.located.locate(b, m.tensors, x, g));
  m.expect(15, 10);
  EXPECT_FALSE(m.locate(15, 10)) << "as pointers or as views";
}

TEST(located_model, moves) {
  moves(frugal::serial_backend());
  moves(frugal::emulated_backend());
}

}  // namespace
