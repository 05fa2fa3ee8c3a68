// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/momentum.hpp>
#include <frugal/sharing/roast.hpp>

#include <cmath>

#include "roast_digest.hpp"
#include "support/allocations.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::gradient_scaling;
using frugal::index_t;
using frugal::roast;
using frugal::roast_config;
using frugal::scale_match;
const frugal::serial_backend cpu;

frugal::layout tensors(std::vector<index_t> const& sizes) {
  std::vector<frugal::tensor_spec> specs;
  for (index_t n : sizes) specs.push_back({"t" + std::to_string(specs.size()), {n}});
  return specs;
}
template <class T>
std::vector<T> first_vector(auto const& r) {
  std::vector<T> z(std::size_t(r.slots()));
  r.initialise(z);
  return z;
}
// Where every weight lies, and its sign: with z = 1, 2, 3 ... and all scales 1.
std::vector<index_t> signed_slots(index_t n, roast_config c) {
  roast r(cpu, n, c, frugal::types<double>{});
  std::vector<double> z(std::size_t(r.slots())), w(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = double(i + 1);
  r.forward(z, w);
  return {w.begin(), w.end()};
}
double dot(std::vector<double> const& a, std::vector<double> const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
template <class T>
void expect_near(std::vector<T> const& want, std::vector<T> const& got, double tolerance, std::string const& what) {
  ASSERT_EQ(want.size(), got.size()) << what;
  double scale = 0;
  for (T x : want) scale = std::max(scale, std::abs(double(x)));
  for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(want[i], got[i], tolerance * scale) << what << ", " << i;
}

// ---- what the independent script computed ---------------------------------------------------------------------------
template <class T, class Check>
void follow(golden_case const& c, std::string const& bits, Check const& check) {
  const auto sizes = c.numbers<index_t>("sizes");
  roast_config config{.slots = index_t(c.config("slots")),
                      .seed = c.number<std::uint64_t>("seed"),
                      .spread = c.config("spread"),
                      .match = scale_match(int(c.config("match"))),
                      .scaling = gradient_scaling(int(c.config("mode"))),
                      .count_epsilon = c.config("count_epsilon"),
                      .epsilon = c.config("epsilon")};
  if (c.count("scales") > 0) config.scales = c.numbers<double>("scales");
  const frugal::layout l = tensors(sizes);
  roast r(cpu, l, config, frugal::types<T>{});
  const auto rate = T(c.config("rate"));
  std::vector<T> z = first_vector<T>(r), w(std::size_t(l.size())), dz(z.size());
  check(c.numbers<T>("z0_" + bits), z, c.name + ": the first z");
  for (std::size_t t = 0; t < c.number<std::size_t>("steps"); ++t) {
    r.forward(z, w);
    check(c.numbers<T>("w" + bits, t), w, c.name + ": weights");
    r.backward(c.numbers<T>("g", t), dz);
    check(c.numbers<T>("dz" + bits, t), dz, c.name + ": gradient");
    for (std::size_t i = 0; i < z.size(); ++i) z[i] -= frugal::detail::product(rate, dz[i]);
    check(c.numbers<T>("z" + bits, t), z, c.name + ": z");
  }
}
TEST(roast, golden_trajectories) {
  for (golden_case const& c : read_golden("roast.txt")) {
    follow<float>(c, "32", [](auto const& want, auto const& got, std::string const& what) {
      EXPECT_TRUE(same_bits(want, got)) << what;
    });
    follow<double>(c, "64", [](auto const& want, auto const& got, std::string const& what) {
      expect_near(want, got, 1e-14, what);
    });
  }
}
TEST(roast, golden_slots_and_signs) {
  for (golden_case const& c : read_golden("roast.txt")) {
    index_t n = 0;
    for (index_t size : c.numbers<index_t>("sizes")) n += size;
    const auto got = signed_slots(n, {.slots = index_t(c.config("slots")), .seed = c.number<std::uint64_t>("seed")});
    const auto slot = c.numbers<index_t>("slot"), sign = c.numbers<index_t>("sign");
    ASSERT_EQ(got.size(), slot.size());
    for (std::size_t j = 0; j < got.size(); ++j) ASSERT_EQ(got[j], sign[j] * (slot[j] + 1)) << c.name << ", " << j;
  }
}

// ---- the map --------------------------------------------------------------------------------------------------------
TEST(roast, every_slot_has_its_part_of_the_weights) {
  for (index_t n : {0, 1, 255, 256, 257, 4095, 4097, 100003})
    for (index_t m : {1, 37, 128, 4096, 5000, 120000}) {
      std::vector<index_t> load(static_cast<std::size_t>(m));
      for (index_t j : signed_slots(n, {.slots = m, .seed = 6})) ++load[std::size_t(std::abs(j) - 1)];
      for (index_t c : load) ASSERT_TRUE(c == n / m || c == (n + m - 1) / m) << n << " on " << m << ": " << c;
    }
}
TEST(roast, signs_are_balanced_and_know_nothing_of_slots) {
  constexpr index_t n = 1 << 18, m = 1 << 12;
  const auto at = signed_slots(n, {.slots = m, .seed = 21});
  double all = 0, even = 0, pairs = 0;  // of slots; of weights that share a slot
  std::vector<double> of_slot(static_cast<std::size_t>(m));
  for (index_t j : at) {
    const double s = j > 0 ? 1 : -1;
    const auto i = std::size_t(std::abs(j) - 1);
    all += s;
    if (i % 2 == 0) even += s;
    of_slot[i] += s;
  }
  for (double s : of_slot) pairs += (s * s - double(n / m)) / 2;
  EXPECT_LT(std::abs(all), 4 * std::sqrt(double(n)));
  EXPECT_LT(std::abs(even), 4 * std::sqrt(double(n / 2)));
  const double count = double(m) * double(n / m) * double(n / m - 1) / 2;
  EXPECT_LT(std::abs(pairs), 4 * std::sqrt(count));
  EXPECT_NE(at, signed_slots(n, {.slots = m, .seed = 22}));
}
TEST(roast, inner_products_of_projections_are_unbiased) {
  constexpr index_t n = 40;
  constexpr int draws = 3000;
  const auto v = numbers<double>(n, 1), w = numbers<double>(n, 2);
  std::vector<double> y(9), q(9);
  double sum = 0, squares = 0;
  for (int k = 0; k < draws; ++k) {
    roast r(cpu, n, {.slots = 9, .seed = std::uint64_t(k), .scaling = gradient_scaling::none}, frugal::types<double>{});
    r.backward(v, y);
    r.backward(w, q);
    const double p = dot(y, q);
    sum += p, squares += p * p;
  }
  const double mean = sum / draws, deviation = std::sqrt((squares / draws - mean * mean) / draws);
  EXPECT_NEAR(mean, dot(v, w), 4 * deviation);
  EXPECT_GT(deviation, 0);
}
TEST(roast, backward_is_the_adjoint_of_forward) {
  for (index_t m : {1, 100, 4096, 70000}) {
    const frugal::layout l = tensors({5000, 1, 60000, 0, 300});
    roast r(cpu, l, {.slots = m, .seed = 3, .scales = {0.2, 5, 1, 1, 0.7}, .scaling = gradient_scaling::none},
            frugal::types<double>{});
    const auto z = numbers<double>(m, 4), g = numbers<double>(l.size(), 5);
    std::vector<double> w(g.size()), dz(z.size());
    r.forward(z, w);
    r.backward(g, dz);
    double scale = 0;
    for (std::size_t j = 0; j < g.size(); ++j) scale += std::abs(w[j] * g[j]);
    EXPECT_NEAR(dot(w, g), dot(z, dz), 1e-12 * scale) << m;
  }
}
TEST(roast, the_first_vector_is_uniform) {
  constexpr index_t m = 100000;
  const auto z = first_vector<float>(roast(cpu, 3 * m, {.slots = m, .seed = 8, .spread = 0.3}));
  double sum = 0, squares = 0;
  for (float x : z) {
    ASSERT_LT(std::abs(x), 0.3);
    sum += x, squares += double(x) * x;
  }
  const double variance = 0.09 / 3, deviation_of_square = 0.09 * std::sqrt(4 / 45.0);
  EXPECT_NEAR(sum / m, 0, 4 * std::sqrt(variance / m));
  EXPECT_NEAR(squares / m, variance, 4 * deviation_of_square / std::sqrt(double(m)));
}

// ---- gradient scaling
// ------------------------------------------------------------------------------------------------- A gradient that
// depends on the weights, and on the step.
std::vector<double> slope(std::vector<double> const& w, int t) {
  std::vector<double> g(w.size());
  for (std::size_t j = 0; j < w.size(); ++j)
    g[j] = std::sin(3 * w[j] + double(j)) + 0.3 * std::cos(0.1 * double(t) * double(j % 7));
  return g;
}
std::vector<double> trained(frugal::layout const& l, roast_config const& c, frugal::momentum_config const& how,
                            int steps) {
  roast r(cpu, l, c, frugal::types<double>{});
  frugal::momentum opt(cpu, r.slots(), how, frugal::types<double>{});
  std::vector<double> z = first_vector<double>(r), w(std::size_t(l.size())), dz(z.size());
  for (int t = 0; t < steps; ++t) {
    r.forward(z, w);
    r.backward(slope(w, t), dz);
    opt.step(z, dz);
  }
  r.forward(z, w);
  return w;
}
TEST(roast, without_compression_it_is_the_whole_model) {
  const frugal::layout l = tensors({700, 0, 421});
  for (frugal::momentum_config how : {frugal::momentum_config{.lr = 0.05, .momentum = 0},
                                      {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01},
                                      {.lr = 0.05, .momentum = 0.9, .nesterov = true}})
    for (roast_config c : {roast_config{.compression = 1}, {.slots = 2000}}) {
      c.seed = 5, c.scales = {0.2, 1, 7};
      roast r(cpu, l, c, frugal::types<double>{});
      std::vector<double> w(std::size_t(l.size()));
      r.forward(first_vector<double>(r), w);
      frugal::momentum opt(cpu, l, how, frugal::types<double>{});
      for (int t = 0; t < 10; ++t) opt.step(w, slope(w, t));
      expect_near(w, trained(l, c, how, 10), 1e-12, "weights");
    }
}
TEST(roast, the_spread_does_not_matter) {
  const frugal::layout l = tensors({300, 211});
  const auto run = [&](double spread, gradient_scaling scaling) {
    return trained(
        l,
        {.compression = 4, .spread = spread, .scales = {0.1, 0.4}, .match = scale_match::matched, .scaling = scaling},
        {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}, 300);
  };
  const auto one = run(1, gradient_scaling::v1);
  for (double spread : {1e-3, 10.0}) expect_near(one, run(spread, gradient_scaling::v1), 1e-10, "weights");
  const auto plain = run(10, gradient_scaling::none);
  double apart = 0;
  for (std::size_t j = 0; j < one.size(); ++j) apart = std::max(apart, std::abs(plain[j] - one[j]));
  EXPECT_GT(apart, 0.01) << "the same without gradient scaling";
}
// By plain steps; above it is momentum, in examples/roast.cpp AdamW with 8-bit states.
TEST(roast, descent_ends_at_the_mean_of_each_slot) {
  constexpr index_t n = 33000;
  std::vector<float> target(static_cast<std::size_t>(n));
  for (dice d(3); float& x : target) x = float(d.between(-1, 1));
  const auto error_after = [&](int steps) {
    roast r(cpu, n, {.compression = 8, .seed = 1});
    std::vector<float> z = first_vector<float>(r), w(target.size()), g(w.size()), dz(z.size());
    double error = 0;
    for (int t = 0; t <= steps; ++t) {
      r.forward(z, w);
      error = 0;
      for (std::size_t j = 0; j < w.size(); ++j) {
        g[j] = w[j] - target[j];
        error += double(g[j]) * g[j];
      }
      r.backward(g, dz);
      for (std::size_t i = 0; i < z.size(); ++i) z[i] -= 0.4f * dz[i];
    }
    return error;
  };
  // There, what is left of the sum of squares is (signed sum)^2 over the count.
  std::vector<double> sum(std::size_t(n / 8)), count(sum.size());
  double best = 0;
  const auto at = signed_slots(n, {.compression = 8, .seed = 1});
  for (std::size_t j = 0; j < at.size(); ++j) {
    const auto i = std::size_t(std::abs(at[j]) - 1);
    sum[i] += at[j] > 0 ? target[j] : -target[j];
    count[i] += 1;
    best += double(target[j]) * target[j];
  }
  for (std::size_t i = 0; i < sum.size(); ++i) best -= sum[i] * sum[i] / count[i];
  EXPECT_LT(best, 0.999 * error_after(0));
  EXPECT_NEAR(best, error_after(40), 1e-5 * best);
}

// ---- backends, arguments, states ------------------------------------------------------------------------------------
std::vector<float> everything(auto const& b, frugal::layout const& l, index_t m, index_t offset) {
  std::vector<double> scales;
  for (std::size_t k = 0; k < l.tensors().size(); ++k) scales.push_back(0.3 + double(k));
  roast r(b, l, {.slots = m, .seed = 2, .scales = scales});
  using memory = there<float, std::remove_cvref_t<decltype(b)>>;
  memory z(b, std::vector<float>(std::size_t(m)), offset % 3), dz(b, std::vector<float>(std::size_t(m)), offset);
  memory w(b, std::vector<float>(std::size_t(l.size())), offset), g(b, numbers(l.size(), 9), offset % 5);
  r.initialise(z.all());
  r.forward(z.constant(), w.all());
  r.backward(g.constant(), dz.all());
  std::vector<float> out = w.get();
  const auto sums = dz.get();
  out.insert(out.end(), sums.begin(), sums.end());
  return out;
}
TEST(roast, every_backend_gives_the_same_bits) {
  for (auto const& sizes : std::vector<std::vector<index_t>>{
           {0}, {1}, {255}, {256, 0, 1}, {4095, 257}, {100, 4097, 3, 3, 900}, {70000, 30003}})
    for (index_t m : {1, 129, 5000, 20000}) {
      if (m == 1 && sizes[0] > 5000) continue;
      const frugal::layout l = tensors(sizes);
      const auto bits = same_on_every_backend([&](auto const& b) { return everything(b, l, m, index_t(m % 7)); });
      EXPECT_TRUE(same_bits(bits, everything(cpu, l, m, 0)));
    }
}
TEST(roast, bf16_are_the_rounded_weights_and_the_same_gradient) {
  const frugal::layout l = tensors({300, 6000, 41});
  const roast_config c{.slots = 700, .seed = 2, .scales = {0.3, 1.3, 2.3}};
  roast narrow(cpu, l, c, frugal::types<frugal::bf16>{});
  roast wide(cpu, l, c);
  const auto z = first_vector<float>(wide);
  const auto g = numbers<frugal::bf16>(l.size(), 9);
  std::vector<frugal::bf16> w(g.size()), rounded;
  std::vector<float> exact(g.size()), widened, dz(z.size()), same(z.size());
  narrow.forward(z, w);
  wide.forward(z, exact);
  for (float x : exact) rounded.push_back(frugal::to_bf16(x));
  EXPECT_TRUE(same_bits(rounded, w));
  narrow.backward(g, dz);
  for (frugal::bf16 x : g) widened.push_back(frugal::detail::widen<float>(x));
  wide.backward(widened, same);
  EXPECT_TRUE(same_bits(same, dz));
}
TEST(roast, a_device_gives_the_bits_of_serial) {  // which are these
  EXPECT_EQ(digest_of_floats(cpu), roast_digest);
  EXPECT_EQ(digest_in_16_bits(cpu), roast_digest_in_16_bits);
}
TEST(roast, tensors_may_lie_apart) {
  const frugal::layout l = tensors({300, 5000, 0, 41});
  roast r(cpu, l, {.compression = 3, .seed = 2});
  const auto z = first_vector<float>(r), g = numbers(l.size(), 7);
  std::vector<float> w(g.size()), dz(z.size()), dz2(z.size());
  r.forward(z, w);
  r.backward(g, dz);
  std::vector<std::vector<float>> parts, gradients;
  for (frugal::tensor const& t : l.tensors()) {
    parts.emplace_back(std::size_t(t.size));
    gradients.emplace_back(g.begin() + t.offset, g.begin() + t.offset + t.size);
  }
  std::vector<frugal::view<float>> to(parts.begin(), parts.end());
  std::vector<frugal::view<float const>> from(gradients.begin(), gradients.end());
  r.forward(z, to);
  r.backward(from, dz2);
  std::vector<float> together;
  for (auto const& p : parts) together.insert(together.end(), p.begin(), p.end());
  EXPECT_TRUE(same_bits(w, together));
  EXPECT_TRUE(same_bits(dz, dz2));
}
TEST(roast, calls_allocate_nothing) {
  const frugal::layout l = tensors({1200000, 5000});
  roast r(cpu, l, {.compression = 8});
  auto z = first_vector<float>(r), dz = z;
  std::vector<float> w(std::size_t(l.size()));
  const long before = allocations;
  r.forward(z, w);
  r.backward(w, dz);
  EXPECT_EQ(allocations, before);
}
TEST(roast, a_saved_state_belongs_to_a_map) {
  const auto make = [](roast_config c) { return roast(cpu, 1000, c); };
  auto one = make({.slots = 100, .seed = 1});
  EXPECT_EQ(one.state_bytes(), 0u);
  EXPECT_EQ(one.table_bytes(), 400u);
  const frugal::snapshot saved = frugal::save_state(one);
  auto same = make({.slots = 100, .seed = 1});
  frugal::restore_state(same, saved);
  for (roast_config c : {roast_config{.slots = 100, .seed = 2},
                         {.slots = 101, .seed = 1},
                         {.slots = 100, .seed = 1, .scales = {2}},
                         {.slots = 100, .seed = 1, .scaling = gradient_scaling::v2},
                         {.slots = 100, .seed = 1, .epsilon = 1e-6}}) {
    auto other = make(c);
    EXPECT_TRUE(
        refused([&] { frugal::restore_state(other, saved); }, "a saved state's layout", "the tensors", "others"));
  }
}
TEST(roast, bad_configurations_are_refused) {
  const auto with = [](roast_config c) { return [c] { roast(cpu, tensors({70, 30}), c); }; };
  const double infinity = INFINITY;
  EXPECT_TRUE(refused(with({}), "slots and compression", "one of them", "neither"));
  EXPECT_TRUE(refused(with({.compression = 2, .slots = 3}), "slots and compression", "one of them", "both"));
  for (double bad : {0.99, -1.0, infinity, double(NAN)})
    EXPECT_THROW(with({.compression = bad})(), frugal::invalid_argument) << bad;
  EXPECT_TRUE(refused(with({.slots = -1}), "slots", "1 to 2^32", "-1"));
  EXPECT_THROW(with({.slots = (index_t(1) << 32) + 1})(), frugal::invalid_argument);
  for (double bad : {0.0, -1.0, infinity, double(NAN)}) {
    EXPECT_THROW(with({.slots = 5, .spread = bad})(), frugal::invalid_argument) << bad;
    EXPECT_TRUE(refused(with({.slots = 5, .scales = {1, bad}}), "the scale of tensor 't1'", "1e-15 to 1e15", ""));
  }
  EXPECT_TRUE(refused(with({.slots = 5, .scales = {1}}), "the count of scales", "2", "1"));
  EXPECT_TRUE(refused(with({.slots = 5, .match = scale_match::matched}), "the count of scales", "2", "0"));
  EXPECT_THROW(with({.slots = 5, .count_epsilon = -1e-9})(), frugal::invalid_argument);
  EXPECT_THROW(with({.slots = 5, .epsilon = NAN})(), frugal::invalid_argument);
  EXPECT_EQ(roast(cpu, 100, {.compression = 8}).slots(), 12);
  EXPECT_EQ(roast(cpu, 3, {.compression = 8}).slots(), 1);
}
TEST(roast, bad_arguments_are_refused_and_nothing_changes) {
  const frugal::layout l = tensors({70, 30});
  roast r(cpu, l, {.slots = 20});
  std::vector<float> z = first_vector<float>(r), all(200, 5.f);
  const frugal::view<float> w(all.data(), 100), dz(all.data() + 100, 20);
  using out = frugal::view<float>;
  const auto short_z = [&] { r.forward(out(z.data(), 19), w); };
  EXPECT_TRUE(refused(short_z, "the size of the shared vector", "20", "19"));
  EXPECT_TRUE(refused([&] { r.forward(out(nullptr, 20), w); }, "the shared vector", "a pointer", "null"));
  EXPECT_TRUE(refused([&] { r.forward(z, out(all.data(), 99)); }, "the weights", "100", "99"));
  EXPECT_TRUE(refused([&] { r.backward(out(all.data(), 101), dz); }, "the gradient", "100", "101"));
  const std::vector<out> uneven{out(all.data(), 69), out(all.data() + 70, 31)}, one{w};
  EXPECT_THROW(r.forward(z, uneven), frugal::invalid_argument);
  EXPECT_THROW(r.forward(z, one), frugal::invalid_argument);
  const std::vector<out> twice{out(all.data(), 70), out(all.data() + 69, 30)};
  for (auto const& call :
       std::vector<std::function<void()>>{[&] { r.forward(z, twice); }, [&] { r.forward(out(all.data() + 90, 20), w); },
                                          [&] { r.backward(w, out(all.data() + 99, 20)); }})
    EXPECT_TRUE(refused(call, "the shared vector and the tensors", "memory of their own each", "an overlap"));
  EXPECT_EQ(all, std::vector<float>(200, 5.f));
  r.backward(std::vector<frugal::view<float const>>{out(all.data(), 70), out(all.data(), 30)}, dz);  // only read
}

}  // namespace
