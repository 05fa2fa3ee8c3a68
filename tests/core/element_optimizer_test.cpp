// SPDX-License-Identifier: Apache-2.0
// Supports under an optimizer, in every storage: a step on some coordinates is a step of a smaller model, or of one
// whose other coordinates rest.
#include <frugal/optim/momentum.hpp>

#include <functional>
#include <numeric>
#include <variant>

#include "support/driver_of.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layout;
using floats = std::vector<float>;

const frugal::momentum_config config{.lr = 0.01, .weight_decay = 0.5};

struct outcome {
  floats x;
  frugal::snapshot state;
  frugal::step_report report;
  std::size_t bytes;
};
// Three steps from x0 with gradient(1), gradient(2), gradient(3); the norm is measured.
struct task {
  layout model;
  floats x0;
  std::function<floats(int)> gradient;
  double clip_norm = std::numeric_limits<double>::infinity();
  bool separate = false;  // tensors in memory of their own, not aligned
};
template <class Backend, class Storage, class Support>
outcome run_on(Backend const& b, task const& k, Storage const& storage, Support const& support) {
  frugal::momentum opt(b, k.model, config, storage, support);
  opt.options().clip_norm = k.clip_norm;
  workplace<float, Backend> place(b, k.model, k.x0, k.separate ? arrangement{true, 3, 2} : arrangement{});
  for (int t = 1; t <= 3; ++t) {
    place.set_gradient(k.gradient(t));
    place.step(opt);
  }
  return {place.x(), frugal::save_state(opt), opt.report(), opt.state_bytes()};
}
using any_support = std::variant<frugal::all, frugal::range, frugal::mask, frugal::indices>;
outcome run(machine const& m, task const& k, stored s, any_support const& which) {
  const auto with = [&]<class Support>(Support const& support) {
    const auto on = [&](auto const& b) {
      if (s == stored::full) return run_on(b, k, frugal::full{}, support);
      return run_on(b, k, frugal::blockwise8{.min_size = 1}, support);
    };
    // A device's kernels for ranges are those for all coordinates, and tested with every optimizer.
    if constexpr (std::is_same_v<Support, frugal::mask> || std::is_same_v<Support, frugal::indices>)
      if (m.lanes > 0) return on(frugal::emulated_backend({.seed = m.seed, .lanes = m.lanes}));
    return on(frugal::serial_backend{});
  };
  return std::visit(with, which);
}
floats start_of(layout const& l) { return numbers(l.size(), 99); }
task on(layout const& l, double clip_norm = std::numeric_limits<double>::infinity(), bool separate = false) {
  return {l, start_of(l), [n = l.size()](int t) { return numbers(n, std::uint64_t(t)); }, clip_norm, separate};
}

// States without what says whose they are.
testing::AssertionResult same_states(frugal::snapshot a, frugal::snapshot const& b) {
  a.layout = b.layout;
  return same_bits(a, b);
}

// Runs of coordinates and single ones, in every tile.
std::vector<index_t> some_of(index_t n) {
  std::vector<index_t> at;
  for (index_t i = 0; i < n; ++i)
    if (i % 7 == 3 || i % 1000 > 800 || i == n - 1) at.push_back(i);
  return at;
}
frugal::mask mask_of(index_t n, std::vector<index_t> const& at) {
  frugal::mask m{std::vector<std::uint8_t>(std::size_t(n))};
  for (index_t i : at) m.on[std::size_t(i)] = std::uint8_t(i % 3 == 0 ? 255 : i % 3);  // any but 0
  return m;
}
floats gather(floats const& v, std::vector<index_t> const& at) {
  floats out;
  for (index_t i : at) out.push_back(v[std::size_t(i)]);
  return out;
}
floats scatter(floats to, floats const& v, std::vector<index_t> const& at) {
  for (std::size_t k = 0; k < at.size(); ++k) to[std::size_t(at[k])] = v[k];
  return to;
}

constexpr index_t n = 20003;
floats gradient(int t) { return numbers(n, std::uint64_t(t)); }

TEST(element_optimizer, an_index_list_is_a_small_model) {
  const auto at = some_of(n);
  on_cpu_and_device([&](machine const& m, stored storage) {
    const outcome listed = run(m, on(n), storage, frugal::indices{at});
    const outcome small = run(m, {at.size(), gather(start_of(n), at), [&](int t) { return gather(gradient(t), at); }},
                              storage, frugal::all{});
    EXPECT_TRUE(same_bits(scatter(start_of(n), small.x, at), listed.x));
    EXPECT_TRUE(same_states(small.state, listed.state));
    EXPECT_EQ(small.bytes, listed.bytes);
  });
}

TEST(element_optimizer, a_range_is_a_small_model) {
  for (auto [begin, end] : {std::pair<index_t, index_t>{0, 300}, {5, 17000}, {16384, n}, {n - 1, n}}) {
    std::vector<index_t> at(std::size_t(end - begin));
    std::iota(at.begin(), at.end(), begin);
    const frugal::range shard{begin, end};
    on_cpu_and_device([&](machine const& m, stored storage) {
      SCOPED_TRACE(shard.begin);
      const outcome part = run(m, on(n), storage, shard);
      const outcome small = run(m, {at.size(), gather(start_of(n), at), [&](int t) { return gather(gradient(t), at); }},
                                storage, frugal::all{});
      EXPECT_TRUE(same_bits(scatter(start_of(n), small.x, at), part.x));
      EXPECT_TRUE(same_states(small.state, part.state));
      EXPECT_EQ(small.bytes, part.bytes);
    });
  }
}

TEST(element_optimizer, what_a_mask_leaves_out_rests) {
  const auto at = some_of(n);
  const frugal::mask some = mask_of(n, at);
  const auto without = [&](floats v) {
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = some.on[i] ? v[i] : 0;
    return v;
  };
  on_cpu_and_device([&](machine const& m, stored storage) {
    const outcome masked = run(m, on(n), storage, some);
    const outcome resting =
        run(m, {n, without(start_of(n)), [&](int t) { return without(gradient(t)); }}, storage, frugal::all{});
    EXPECT_TRUE(same_bits(scatter(start_of(n), gather(resting.x, at), at), masked.x));
    EXPECT_TRUE(same_states(resting.state, masked.state));  // where there is no gradient they stay zero
    EXPECT_EQ(resting.bytes, masked.bytes);
  });
}

TEST(element_optimizer, supports_agree_on_a_model_of_tensors) {
  const layout l{{{"w", {300, 41}}, {"none", {0}}, {"b", {41}, "slow"}, {"f", {500}, "frozen"}, {"v", {9000}, "slow"}},
                 {{"slow", 0.5, 0.}, {"frozen", 1., 1., true}}};
  const auto at = some_of(l.size());
  std::vector<index_t> middle(700);
  std::iota(middle.begin(), middle.end(), 12345);
  const stored full = stored::full;
  const floats everything = run(serial(), on(l), full, frugal::all{}).x;
  const auto moved = [&](std::vector<index_t> const& owned) {
    return scatter(start_of(l), gather(everything, owned), owned);
  };
  for (machine const& m : {serial(), emulated()})
    for (bool separate : {false, true}) {
      const task k = on(l, std::numeric_limits<double>::infinity(), separate);
      EXPECT_TRUE(same_bits(moved(at), run(m, k, full, mask_of(l.size(), at)).x)) << m.name;
      EXPECT_TRUE(same_bits(moved(at), run(m, k, full, frugal::indices{at}).x)) << m.name;
      EXPECT_TRUE(same_bits(moved(middle), run(m, k, full, frugal::range{12345, 13045}).x)) << m.name;
    }
}

TEST(element_optimizer, owning_everything_and_nothing) {
  std::vector<index_t> whole(n);
  std::iota(whole.begin(), whole.end(), 0);
  on_cpu_and_device([&](machine const& m, stored storage) {
    const outcome all = run(m, on(n), storage, frugal::all{});
    for (outcome const& same : {run(m, on(n), storage, frugal::range{0, n}), run(m, on(n), storage, mask_of(n, whole)),
                                run(m, on(n), storage, frugal::indices{whole})}) {
      EXPECT_TRUE(same_bits(all.x, same.x));
      EXPECT_TRUE(same_states(all.state, same.state));
      EXPECT_EQ(all.bytes, same.bytes);
    }
    const std::vector<outcome> none{run(m, on(n, 1), storage, frugal::range{7, 7}),
                                    run(m, on(n, 1), storage, frugal::indices{}),
                                    run(m, on(n, 1), storage, mask_of(n, {}))};
    for (outcome const& still : none) {
      EXPECT_TRUE(same_bits(start_of(n), still.x));
      EXPECT_EQ(still.report.steps, 3);
      EXPECT_EQ(still.report.gradient_norm, 0);
    }
    EXPECT_EQ(none[0].bytes, 0u);
    EXPECT_EQ(none[1].bytes, 0u);
    EXPECT_EQ(none[2].bytes, all.bytes);
  });
}

TEST(element_optimizer, the_norm_is_of_the_owned_coordinates) {
  const auto at = some_of(n);
  const task threes{n, start_of(n), [](int) { return floats(n, 3); }, 10};  // all sums are exact
  on_cpu_and_device([&](machine const& m, stored storage) {
    const outcome masked = run(m, threes, storage, mask_of(n, at));
    const outcome listed = run(m, threes, storage, frugal::indices{at});
    const outcome shard = run(m, threes, storage, frugal::range{100, 500});
    EXPECT_EQ(masked.report.gradient_norm, std::sqrt(9. * double(at.size())));
    EXPECT_EQ(listed.report.gradient_norm, std::sqrt(9. * double(at.size())));
    EXPECT_EQ(shard.report.gradient_norm, 60);
    EXPECT_TRUE(storage != stored::full || same_bits(masked.x, listed.x));
  });
}

}  // namespace
