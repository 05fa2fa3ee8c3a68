// SPDX-License-Identifier: Apache-2.0
// Models of more than 2^31, and more than 2^32, elements: what is done at their far end is what is done in a small one.
// Their memory is addresses without pages; only what a shard owns is touched.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/interop/safetensors_header.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/projection/very_sparse.hpp>
#include <frugal/sharing/roast.hpp>
#include <frugal/zeroth_order/mezo.hpp>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal;
using frugal_test::refused;
constexpr index_t two_to(int k) { return index_t(1) << k; }
const serial_backend cpu;

template <class T>
class far_memory {
 public:
  explicit far_memory(index_t n) : n_(n) {
    void* p = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) p_ = static_cast<T*>(p);
  }
  far_memory(far_memory const&) = delete;
  ~far_memory() {
    if (p_) munmap(p_, bytes());
  }
  explicit operator bool() const { return p_; }
  T& operator[](index_t i) { return p_[i]; }
  T* data() const { return p_; }
  index_t size() const { return n_; }
  template <class Space>
  view<T, Space> in() const {
    return {p_, n_};
  }
  void fill(index_t first, std::vector<T> const& x) { std::copy(x.begin(), x.end(), p_ + first); }
  std::vector<T> copy(index_t first, index_t count) const { return {p_ + first, p_ + first + count}; }

 private:
  std::size_t bytes() const { return std::size_t(n_) * sizeof(T); }
  T* p_ = nullptr;
  index_t n_;
};
#define FRUGAL_NEEDS(memory) \
  if (!memory) GTEST_SKIP() << "the system does not give " << memory.size() << " elements of addresses"

std::vector<float> numbers(index_t n, std::uint64_t direction) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) x[std::size_t(i)] = normal(random_stream{1}, direction, std::uint64_t(i));
  return x;
}

template <class F>
void on_three_backends(F const& f) {
  f(cpu);
  f(tbb_backend(2));
  f(emulated_backend({.seed = 3, .lanes = 5}));
}

// ---- optimizers -----------------------------------------------------------------------------------------------------
TEST(large, a_shard_at_the_far_end_steps_as_a_small_model) {
  constexpr index_t n = two_to(33), before = 700, after = 40300;  // around a tensor's end, of several tiles
  far_memory<float> x(n + after), g(n + after);
  FRUGAL_NEEDS(x);
  FRUGAL_NEEDS(g);
  const layout large({{"a", {two_to(20), two_to(13)}}, {"b", {after}}}), small({{"a", {before}}, {"b", {after}}});
  const std::vector<float> x0 = numbers(before + after, 0), gradient = numbers(before + after, 1);
  const auto check = [&](auto const& backend, auto storage) {
    using space = typename std::remove_cvref_t<decltype(backend)>::space;
    x.fill(n - before, x0);
    g.fill(n - before, gradient);
    std::vector<float> y = x0;
    adamw far_end(backend, large, {.lr = 0.01}, storage, range{n - before, n + after});
    adamw near_by(cpu, small, {.lr = 0.01}, storage);
    EXPECT_EQ(far_end.state_bytes(), near_by.state_bytes());
    for (int t = 0; t < 3; ++t) {
      far_end.options().clip_norm = near_by.options().clip_norm = 100;
      far_end.step(x.in<space>(), view<float const, space>(g.in<space>()));
      near_by.step(y, gradient);
    }
    backend.sync();
    EXPECT_EQ(far_end.report().gradient_norm, near_by.report().gradient_norm);
    EXPECT_EQ(x.copy(n - before, before + after), y) << backend.name;
    EXPECT_EQ(x[n - before - 1], 0);
  };
  on_three_backends([&](auto const& backend) {
    check(backend, full{});
    check(backend, blockwise8{.min_size = 1});
  });
}

TEST(large, listed_coordinates_beyond_2_to_31) {
  const std::vector<index_t> at{3,          two_to(31) - 1,     two_to(31),    two_to(31) + 1, two_to(32) - 1,
                                two_to(32), 3 * two_to(31) + 7, two_to(33) - 1};
  far_memory<float> x(two_to(33)), g(two_to(33));
  FRUGAL_NEEDS(x);
  FRUGAL_NEEDS(g);
  const layout large({{"a", {two_to(32)}}, {"b", {two_to(32)}}});
  const auto n = index_t(at.size());
  const std::vector<float> x0 = numbers(n, 0), gradient = numbers(n, 1);
  on_three_backends([&](auto const& backend) {
    using space = typename std::remove_cvref_t<decltype(backend)>::space;
    for (std::size_t k = 0; k < at.size(); ++k) x[at[k]] = x0[k], g[at[k]] = gradient[k];
    std::vector<float> y = x0;
    adamw far_end(backend, large, {.lr = 0.01}, indices{at});
    adamw near_by(cpu, n, {.lr = 0.01});
    for (int t = 0; t < 3; ++t) {
      far_end.step(x.in<space>(), view<float const, space>(g.in<space>()));
      near_by.step(y, gradient);
    }
    backend.sync();
    for (std::size_t k = 0; k < at.size(); ++k) EXPECT_EQ(x[at[k]], y[k]) << backend.name << " at " << at[k];
  });
  EXPECT_TRUE(refused([] { adamw(cpu, two_to(32) + 1, {}, indices{{0}}); }, "the size of a tensor with an index list",
                      "at most 2^32", "4294967297"));
}

TEST(large, a_sum_of_more_tiles_than_a_tile_has_elements) {
  constexpr index_t n = two_to(31) + 20000;  // and indices of more than 31 bits
  far_memory<bf16> x(n);
  FRUGAL_NEEDS(x);
  const auto put = [&](index_t i, float v) { x[i] = to_bf16(v); };
  put(0, 1), put(two_to(28), 2), put(two_to(31) - 1, 4), put(two_to(31), 8), put(n - 1, 16);
  const view<bf16 const> all(x.data(), n);
  EXPECT_EQ(sum(cpu, all), 31);
}

// ---- directions -----------------------------------------------------------------------------------------------------
TEST(large, directions_at_the_far_end) {
  constexpr index_t n = two_to(33), end = n - 5, begin = end - 9000;
  far_memory<float> x(n);
  FRUGAL_NEEDS(x);
  const auto check = [&](auto const& backend, auto direction, auto const& number) {
    using space = typename std::remove_cvref_t<decltype(backend)>::space;
    x.fill(begin - 1, std::vector<float>(std::size_t(end - begin + 2)));
    mezo zo(backend, layout({{"a", {1000}}, {"b", {n - 1000}}}), {.epsilon = 0.5, .seed = 9}, direction,
            range{begin, end});
    zo.shift(x.in<space>(), 0, 1);
    backend.sync();
    index_t wrong = 0;
    for (index_t i = begin; i < end; ++i)  // tensor b begins at address 1024
      wrong += x[i] != 0.5f * number(random_stream{9}, zo.id(0), std::uint64_t(i - 1000 + 1024));
    EXPECT_EQ(wrong, 0) << backend.name;
    EXPECT_EQ(x[begin - 1], 0);
    EXPECT_EQ(x[end], 0);
  };
  on_three_backends([&](auto const& backend) {
    check(backend, gaussian{}, [](random_stream s, std::uint64_t dir, std::uint64_t j) { return normal(s, dir, j); });
    check(backend, rademacher{}, [](random_stream s, std::uint64_t dir, std::uint64_t j) { return s.sign(dir, j); });
  });
}

// ---- sharing
// --------------------------------------------------------------------------------------------------------- The
// kernels' teams that have the last weights, and those that sum over the last slots.
TEST(large, shared_weights_at_the_far_end) {
  using team = detail::cpu_team<native_isa>;
  constexpr index_t n = two_to(33) + 1234, m = two_to(31) + 77;
  far_memory<float> w(n), z(m);
  FRUGAL_NEEDS(w);
  FRUGAL_NEEDS(z);
  const detail::cyclic_fold map(n, m, 5);
  const auto slot = [&](index_t j) { return index_t((std::uint64_t(map.rotation(j / m)) + std::uint64_t(j % m)) % m); };
  const auto sign = [&](index_t j) { return map.signs.sign(0, std::uint64_t(j)); };
  const segment all{.size = n};
  const detail::work_table<serial_backend> work(cpu, {all}, 1);
  const float lambda = 2;
  alignas(64) unsigned char scratch[4 * detail::roast_sign_bytes + 64];

  const index_t last = (n - 1) / detail::roast_part, first = (last - 3) * detail::roast_part;
  for (index_t j = first; j < n; ++j) z[slot(j)] = float(j % 1000 + 1);
  float* const to[] = {w.data()};
  const detail::roast_forward<float, float> forward{map, work.list(), &lambda, z.data(), to};
  for (index_t r = last - 3; r <= last; ++r) forward(team{r, scratch});
  index_t wrong = 0;
  for (index_t j = first; j < n; ++j) wrong += w[j] != 2 * sign(j) * z[slot(j)];
  EXPECT_EQ(wrong, 0);

  constexpr index_t block = detail::roast_part, blocks = (m + block - 1) / block;
  float const* const g[] = {w.data()};
  const detail::roast_backward<float, float> backward{map,     {work.list().table, 1}, block, &lambda, g, nullptr,
                                                      z.data()};
  std::vector<index_t> weights;  // of the last slots, all of them
  for (index_t p = 0; p * m < n; ++p)
    for (index_t i = (blocks - 1) * block; i < m; ++i)
      if (const index_t j = p * m + (i - map.rotation(p) + m) % m; j < n) weights.push_back(j);
  for (index_t j : weights) w[j] = float(j % 7 + 1);
  backward(team{blocks - 1, scratch});
  std::vector<float> expected(std::size_t(m - (blocks - 1) * block));
  for (index_t j : weights) expected[std::size_t(slot(j) - (blocks - 1) * block)] += 2 * sign(j) * float(j % 7 + 1);
  EXPECT_GT(weights.back(), two_to(32));
  EXPECT_EQ(z.copy((blocks - 1) * block, index_t(expected.size())), expected);

  EXPECT_TRUE(refused([] { roast(cpu, two_to(40), {.slots = two_to(32) + 1}); }, "slots", "1 to 2^32", "4294967297"));
}

TEST(large, columns_of_projections_beyond_2_to_32) {
  const very_sparse dense(cpu, two_to(40), 3, {.s = dense_signs, .seed = 8});
  for (index_t j : {index_t(0), two_to(31), two_to(32) + 3, two_to(40) - 1})
    EXPECT_EQ(dense.sign(2, j), random_stream{8}.word(2, std::uint64_t(j)) & 1 ? -1 : 1) << j;
}

// ---- messages -------------------------------------------------------------------------------------------------------
TEST(large, rand_k_draws_among_2_to_32) {
  constexpr index_t n = two_to(32), k = 50;
  far_memory<float> x(n);
  FRUGAL_NEEDS(x);
  compressor<rand_k, serial_backend> compress(cpu, n, {.k = k, .seed = 4, .shared = true});
  const permutation order(4, 0, std::uint64_t(n));
  index_t beyond = 0;
  for (std::uint32_t j = 0; j < k; ++j) {
    x[index_t(order(j))] = float(j + 1);
    beyond += index_t(order(j)) >= two_to(31);
  }
  EXPECT_GT(beyond, 10);
  const message& m = compress.encode({x.data(), n});
  EXPECT_EQ(m.size(), 64 + 4 * k + 8);
  compress.add_to({x.data(), n}, {m.data(), m.size()}, 2);
  for (std::uint32_t j = 0; j < k; ++j) EXPECT_EQ(x[index_t(order(j))], 3 * float(j + 1));
}

TEST(large, messages_and_headers_have_wide_numbers) {
  const message_format f{"test", 1, two_to(40) + 5, 16, 128};
  message m(f);
  m.seal({3, std::uint64_t(two_to(33))});
  EXPECT_EQ(open_message({m.data(), m.size()}, f, {3, std::uint64_t(two_to(33))}).size(), 16);
  message_format other = f;
  other.elements = 5;  // the same modulo 2^32
  EXPECT_TRUE(refused(
      [&] {
        open_message({m.data(), m.size()}, other, {3, std::uint64_t(two_to(33))});
      },
      "the elements of a message", "5", "1099511627781"));

  const detail::index_bits few(two_to(31), 100), many(two_to(31), two_to(29));
  EXPECT_EQ(few.bits(), 100 * 31);
  EXPECT_EQ(many.bits(), two_to(31));

  detail::safetensors_header h;
  const auto bytes = std::uint64_t(two_to(35));
  h.tensors.push_back({"a", detail::dtype::f32, {two_to(20), two_to(13)}, 0, bytes});
  h.tensors.push_back({"b", detail::dtype::u8, {7}, bytes, bytes + 7});
  const auto back = detail::safetensors_header::parse(h.render(), bytes + 7);
  EXPECT_EQ(back.tensors.at(1).begin, bytes);
  EXPECT_EQ(back.tensors.at(0).shape, h.tensors[0].shape);
}

// ---- limits ---------------------------------------------------------------------------------------------------------
struct many_teams {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64;
  index_t teams() const { return two_to(31); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const&) const {}
};
TEST(large, limits_are_refused_before_anything_is_allocated) {
  EXPECT_TRUE(refused([] { compressor<rand_k, serial_backend>(cpu, two_to(32) + 1, {.k = 1}); },
                      "the elements of rand_k", "at most 2^32", "4294967297"));
  EXPECT_TRUE(refused([] { compressor<top_k, serial_backend>(cpu, two_to(31) + 1, {.k = 1}); },
                      "the size of a primitive", "0 to 2^31", "2147483649"));
  EXPECT_TRUE(refused(
      [] {
        layout({{"a", {two_to(31), two_to(31)}}});
      },
      "the size of tensor 'a'", "at most 2^60", "more"));
  EXPECT_TRUE(refused(
      [] {
        layout({{"a", {two_to(60)}}, {"b", {1}}});
      },
      "the size of the model", "at most 2^60", "more"));
  EXPECT_TRUE(refused([] { emulated_backend().for_teams(many_teams{}); }, "the size of a launch",
                      "at most 2^31 - 1 blocks", "2147483648"));
}

}  // namespace
