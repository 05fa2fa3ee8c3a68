// SPDX-License-Identifier: Apache-2.0
/// @file Random words and normal numbers in registers, once for each width: cpu_random.hpp includes this with the
/// instruction set, its operations and the name of what is defined. A function of a set must be compiled for it as it
/// is written, so this cannot be a template.
#if defined(FRUGAL_RANDOM_TARGET)

namespace frugal {
inline namespace v0 {
namespace detail {

template <class Isa>
struct FRUGAL_RANDOM_NAME : FRUGAL_RANDOM_OPERATIONS {
  using ops = FRUGAL_RANDOM_OPERATIONS;
  using u64s = typename ops::u64s;
  using u32s = typename ops::u32s;
  using i32s = typename ops::i32s;
  using f32s = typename ops::f32s;
  using k = normal_constants;

  /// Of `blocks` blocks from the first on: words, or normal numbers if To is float.
  template <class To>
  FRUGAL_RANDOM_TARGET static void fill(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks,
                                        To* to) {
    const philox_keys keys(s.seed);
    constexpr index_t lanes = ops::lanes, many = ops::registers * lanes;  // a counter a lane
    index_t i = 0;
    for (; i + many <= blocks; i += many) some<ops::registers>(keys, dir, first + std::uint64_t(i), to + 4 * i);
    for (; i + lanes <= blocks; i += lanes) some<1>(keys, dir, first + std::uint64_t(i), to + 4 * i);
    if (i == blocks) return;
    To rest[4 * lanes];
    some<1>(keys, dir, first + std::uint64_t(i), rest);
    memcpy(to + 4 * i, rest, std::size_t(blocks - i) * 4 * sizeof(To));
  }

 private:
  // U registers of counters at a time: the ten rounds are one chain, and others are to fill its gaps. Of each lane only
  // the lower half is a word, the rest is what is left of products.
  template <int U, class To>
  FRUGAL_RANDOM_TARGET FRUGAL_CPU static void some(philox_keys const& keys, std::uint64_t dir, std::uint64_t first,
                                                   To* to) {
    u64s c0[U], c1[U], c2[U], c3[U];
    FRUGAL_UNROLL for (int u = 0; u < U; ++u) {
      c0[u] = ops::order() + (first + std::uint64_t(u * ops::lanes));
      c1[u] = c0[u] >> 32;
      c2[u] = u64s{} + (dir & 0xffffffffu);
      c3[u] = u64s{} + (dir >> 32);
    }
    FRUGAL_UNROLL for (int round = 0; round < 10; ++round) {
      const u64s k0 = u64s{} + keys.k0[round], k1 = u64s{} + keys.k1[round];
      FRUGAL_UNROLL for (int u = 0; u < U; ++u) {
        const u64s a = ops::product(c0[u], u64s{} + 0xD2511F53u), b = ops::product(c2[u], u64s{} + 0xCD9E8D57u);
        c0[u] = ops::difference(b >> 32, c1[u], k0);
        c2[u] = ops::difference(a >> 32, c3[u], k1);
        c1[u] = b;
        c3[u] = a;
      }
    }
    // Words 0 and 2 of each block side by side are the radii of its pairs, words 1 and 3 the angles; interleaving those
    // of the counters' order gives the order of coordinates.
    FRUGAL_UNROLL for (int u = 0; u < U; ++u) {
      u32s even = ops::merge(c0[u], c2[u]), odd = ops::merge(c1[u], c3[u]);
      if constexpr (std::is_same_v<To, float>) to_normals(even, odd);
      ops::store(to + 4 * u * ops::lanes, ops::interleave_low(even, odd));
      ops::store(to + (4 * u + 2) * ops::lanes, ops::interleave_high(even, odd));
    }
  }

  FRUGAL_RANDOM_TARGET FRUGAL_CPU static f32s all(float x) { return x - f32s{}; }
  // core/normal.hpp, a pair of words a lane, in place.
  FRUGAL_RANDOM_TARGET FRUGAL_CPU static void to_normals(u32s& w0, u32s& w1) {
    const u32s m = (u32s) __builtin_convertvector((i32s)(w0 | 1u), f32s) & ~k::sign;
    const u32s halvings = (k::most - m) & ~k::fraction;
    const f32s f = ops::fused((f32s)(m + halvings), all(0x1p-31f), all(-1.f));
    f32s p = ops::fused(all(k::log7), f, all(k::log6));
    p = ops::fused(p, f, all(k::log5));
    p = ops::fused(p, f, all(k::log4));
    p = ops::fused(p, f, all(k::log3));
    p = ops::fused(p, f, all(k::log2));
    p = ops::fused(p, f, all(k::log1));
    p = ops::fused(p, f, all(k::log0));
    const f32s scale = ops::fused(__builtin_convertvector((i32s)halvings, f32s), all(k::halving), all(k::least));
    const f32s r = ops::root(ops::fused(f, p, scale));
    const f32s x = (f32s)((w1 & k::fraction) | k::one) - 1.5f, t = x * x;
    f32s s = ops::fused(all(k::sin3), t, all(k::sin2)), c = ops::fused(all(k::cos3), t, all(k::cos2));
    s = ops::fused(s, t, all(k::sin1));
    c = ops::fused(c, t, all(k::cos1));
    s = ops::fused(s, t, all(k::sin0));
    c = ops::fused(c, t, all(k::cos0));
    const f32s g = r * x, h = r * c;
    w0 = (u32s)ops::fused(-g, s, h) ^ (w0 & k::sign);
    w1 = (u32s)ops::fused(g, s, h) ^ (w1 & k::sign);
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal

#endif
