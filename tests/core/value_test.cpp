// SPDX-License-Identifier: Apache-2.0
// The values that rules are evaluated in: lanes and packs against plain C++, one operation at a time.
#include <frugal/core/pack.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <limits>

#include "support/bits.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16, frugal::half, frugal::index_t, frugal::lanes;

template <class T>
using widest = frugal::cpu_value<frugal::native_isa, T>;
using lane1 = lanes<float, 1>;
using lane4 = lanes<float, 4>;
using packed = widest<float>;

// Through memory, so that no compiler fuses or folds it.
template <class T>
T stored(T x) {
  volatile T v = x;
  return v;
}

// What is hard: zeros, subnormals, the ends of the range, neighbours of one, infinities, NaN, and random bits.
template <class T>
std::vector<T> hard_numbers() {
  using limits = std::numeric_limits<T>;
  using word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const T whole = T(std::ldexp(1., limits::digits));  // from here on the neighbours of whole numbers are two apart
  std::vector<T> v{0,
                   1,
                   3,
                   T(1) / 3,
                   T(0.1),
                   whole,
                   whole + 2,
                   limits::min(),
                   limits::denorm_min(),
                   limits::max(),
                   limits::min() - limits::denorm_min(),
                   1 + limits::epsilon(),
                   1 - limits::epsilon() / 2,
                   limits::infinity(),
                   limits::quiet_NaN()};
  for (std::size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  dice d(1);
  while (v.size() < 64) v.push_back(std::bit_cast<T>(word(d.bits())));
  return v;
}

// Equal bits; a NaN equals a NaN, as the standard leaves its sign and payload open.
template <class T>
void expect_equal(std::string const& what, std::vector<T> want, std::vector<T> got) {
  for (auto* v : {&want, &got})
    for (T& x : *v)
      if (x != x) x = std::numeric_limits<T>::quiet_NaN();
  EXPECT_TRUE(same_bits(want, got)) << what;
}

// f on chunks of a and b, as V.
template <class V, class T, class F>
auto apply(std::vector<T> const& a, std::vector<T> const& b, F const& f) {
  std::vector<typename decltype(f(V(), V()))::scalar> out(a.size());
  for (std::size_t i = 0; i < a.size(); i += V::width) f(V::load(&a[i]), V::load(&b[i])).store(&out[i]);
  return out;
}
template <class V>
V number(typename V::mask m) {
  return select(m, V(typename V::scalar(1)), V(typename V::scalar(0)));
}

// ---- operations
// ------------------------------------------------------------------------------------------------------ Every
// operation of V on all pairs of hard numbers, against plain C++.
template <class V>
void check_operations(std::string const& type) {
  using T = typename V::scalar;
  std::vector<T> a, b;
  for (T x : hard_numbers<T>())
    for (T y : hard_numbers<T>()) a.push_back(x), b.push_back(y);
  const auto check = [&](char const* op, auto const& f, auto const& plain) {
    std::vector<T> want;
    for (std::size_t i = 0; i < a.size(); ++i) want.push_back(stored<T>(plain(stored(a[i]), stored(b[i]))));
    expect_equal(type + " " + op, want, apply<V>(a, b, f));
  };
  check(
      "+", [](V x, V y) { return x + y; }, [](T x, T y) { return x + y; });
  check(
      "-", [](V x, V y) { return x - y; }, [](T x, T y) { return x - y; });
  check(
      "*", [](V x, V y) { return x * y; }, [](T x, T y) { return x * y; });
  check(
      "/", [](V x, V y) { return x / y; }, [](T x, T y) { return x / y; });
  check(
      "max", [](V x, V y) { return max(x, y); }, [](T x, T y) { return x > y ? x : y; });
  check(
      "min", [](V x, V y) { return min(x, y); }, [](T x, T y) { return x < y ? x : y; });
  check(
      "sqrt", [](V x, V) { return sqrt(x); }, [](T x, T) { return std::sqrt(x); });
  check(
      "sign", [](V x, V) { return sign(x); }, [](T x, T) { return T((x > 0) - (x < 0)); });
  check(
      ">", [](V x, V y) { return number<V>(x > y); }, [](T x, T y) { return T(x > y); });
  check(
      "<", [](V x, V y) { return number<V>(x < y); }, [](T x, T y) { return T(x < y); });
  check(
      "==", [](V x, V y) { return number<V>(x == y); }, [](T x, T y) { return T(x == y); });
  check(
      "select", [](V x, V y) { return select(x > y, y, x); }, [](T x, T y) { return x > y ? y : x; });
  for (T x : hard_numbers<T>()) {
    std::vector<T> spread(V::width);
    V(x).store(spread.data());
    expect_equal(type + " of a number", std::vector<T>(V::width, x), spread);
  }
}
TEST(value, operations) {
  check_operations<lane1>("lanes<float, 1>");
  check_operations<lane4>("lanes<float, 4>");
  check_operations<packed>("pack<float>");
  check_operations<lanes<double, 1>>("lanes<double, 1>");
  check_operations<lanes<double, 4>>("lanes<double, 4>");
  check_operations<widest<double>>("pack<double>");
}

// What only floats have: their bits.
template <class V>
void check_bits(std::string const& type) {
  using I = typename V::integer;
  std::vector<float> a;
  for (float x : hard_numbers<float>()) a.push_back(x);
  const auto magnitude = apply<V>(a, a, [](V x, V) { return abs(x); });
  const auto as_integers = apply<V>(a, a, [](V x, V) { return bits(x); });
  const auto again = apply<V>(a, a, [](V x, V) { return from_bits(bits(x)); });
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(as_integers[i], std::bit_cast<std::int32_t>(a[i])) << type;
    EXPECT_EQ(std::bit_cast<std::int32_t>(magnitude[i]), as_integers[i] & 0x7fffffff) << type;
  }
  EXPECT_TRUE(same_bits(a, again)) << type;
  // Whole numbers, towards zero, and back.
  std::vector<float> b;
  for (float x :
       {0.f, -0.f, 0.999f, -0.999f, 1.f, 1.5f, -1.5f, 255.75f, 16777216.f, -2147483648.f, 2147483520.f, 1e-40f})
    b.push_back(x);
  b.resize(16);
  const auto whole = apply<V>(b, b, [](V x, V) { return truncate(x); });
  const auto real = apply<I>(whole, whole, [](I x, I) { return to_real(x); });
  for (std::size_t i = 0; i < b.size(); ++i) {
    EXPECT_EQ(whole[i], std::int32_t(b[i])) << type;
    EXPECT_EQ(real[i], float(whole[i])) << type;
  }
}
TEST(value, bits_of_floats) {
  check_bits<lane1>("lanes<float, 1>");
  check_bits<lane4>("lanes<float, 4>");
  check_bits<packed>("pack<float>");
}

template <class I>
void check_integers(std::string const& type) {
  using i32 = std::int32_t;
  std::vector<i32> a, b;
  const std::vector<i32> some{0, 1, -1, 2, -2, 7, 8, 77, 105, 127, -128, 255, 32767, -32768, 0x3f800000, -0x40000000};
  for (i32 x : some)
    for (i32 y : some) a.push_back(x), b.push_back(y);
  const auto check = [&](char const* op, auto const& f, auto const& plain) {
    std::vector<i32> want;
    for (std::size_t i = 0; i < a.size(); ++i) want.push_back(i32(plain(a[i], b[i])));
    EXPECT_TRUE(same_bits(want, apply<I>(a, b, f))) << type << " " << op;
  };
  check(
      "+", [](I x, I y) { return (x & I(0xffffff)) + y; }, [](i32 x, i32 y) { return (x & 0xffffff) + y; });
  check(
      "-", [](I x, I y) { return (x & I(0xffffff)) - y; },
      [](i32 x, i32 y) { return (x & 0xffffff) - std::int64_t(y); });
  check(
      "*", [](I x, I y) { return (x & I(255)) * (y & I(255)); }, [](i32 x, i32 y) { return (x & 255) * (y & 255); });
  check(
      "&", [](I x, I y) { return x & y; }, [](i32 x, i32 y) { return x & y; });
  check(
      "|", [](I x, I y) { return x | y; }, [](i32 x, i32 y) { return x | y; });
  check(
      "<<", [](I x, I) { return x << 5; }, [](i32 x, i32) { return std::uint32_t(x) << 5; });
  check(
      ">>", [](I x, I) { return x >> 5; }, [](i32 x, i32) { return std::uint32_t(x) >> 5; });
  check(
      "max", [](I x, I y) { return max(x, y); }, [](i32 x, i32 y) { return x > y ? x : y; });
  check(
      "min", [](I x, I y) { return min(x, y); }, [](i32 x, i32 y) { return x < y ? x : y; });
  check(
      ">", [](I x, I y) { return number<I>(x > y); }, [](i32 x, i32 y) { return x > y; });
  check(
      "<", [](I x, I y) { return number<I>(x < y); }, [](i32 x, i32 y) { return x < y; });
  check(
      "==", [](I x, I y) { return number<I>(x == y); }, [](i32 x, i32 y) { return x == y; });
  // Entry i mod 8 of a table, of floats and of integers.
  frugal::table8<float> floats{{0.5f, -1, 2, -0.f, 4, 1e-40f, 6, 7}};
  frugal::table8<i32> integers{{10, 11, -12, 13, 14, 15, 16, 17}};
  const auto f = apply<I>(a, b, [&](I x, I) { return lookup(floats, x); });
  const auto k = apply<I>(a, b, [&](I x, I) { return lookup(integers, x); });
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(same_bits(std::vector<float>{floats.v[a[i] & 7]}, std::vector<float>{f[i]})) << type << " " << a[i];
    EXPECT_EQ(k[i], integers.v[a[i] & 7]) << type << " " << a[i];
  }
}
TEST(value, integers) {
  check_integers<lane1::integer>("lanes<int, 1>");
  check_integers<lane4::integer>("lanes<int, 4>");
  check_integers<packed::integer>("pack<int>");
}

template <class V>
void check_over_lanes(std::string const& type) {
  using T = typename V::scalar;
  for (int k = 0; k < V::width; ++k) {
    V v(T(-3));
    EXPECT_FALSE(any(v > V(T(0)))) << type;
    EXPECT_EQ(horizontal_max(v), T(-3)) << type;
    v.v[k] = T(5);
    EXPECT_TRUE(any(v > V(T(0)))) << type << ", lane " << k;
    EXPECT_EQ(horizontal_max(v), T(5)) << type << ", lane " << k;
  }
}
TEST(value, any_and_max_over_lanes) {
  check_over_lanes<lane1>("lanes<float, 1>");
  check_over_lanes<lane4>("lanes<float, 4>");
  check_over_lanes<packed>("pack<float>");
  check_over_lanes<packed::integer>("pack<int>");
  check_over_lanes<widest<double>>("pack<double>");
}

// ---- a product is rounded before it is added ------------------------------------------------------------------------
template <class V>
void check_products(std::string const& type) {
  using T = typename V::scalar;
  dice d(5);
  constexpr std::size_t n = 20000 / 16 * 16;
  std::vector<T> a, b, c;
  for (std::size_t i = 0; i < n; ++i) {
    a.push_back(T(d.between(-2, 2)));
    b.push_back(T(d.between(-2, 2)));
    c.push_back(i % 3 ? T(d.between(-1, 1)) : -a[i] * b[i]);  // some sums cancel: all that is left is rounding
  }
  std::vector<T> sum, difference, two, fused;
  for (std::size_t i = 0; i < n; ++i) {
    const T ab = stored(a[i] * b[i]), bc = stored(b[i] * c[i]);
    sum.push_back(ab + c[i]);
    difference.push_back(c[i] - ab);
    two.push_back(ab + bc);
    fused.push_back(std::fma(a[i], b[i], c[i]));
  }
  std::size_t telling = 0;
  for (std::size_t i = 0; i < n; ++i) telling += fused[i] != sum[i];
  EXPECT_GT(telling, n / 4);
  std::vector<T> got_sum(n), got_difference(n), got_two(n);
  for (std::size_t i = 0; i < n; i += V::width) {
    const V x = V::load(&a[i]), y = V::load(&b[i]), z = V::load(&c[i]);
    (x * y + z).store(&got_sum[i]);
    (z - x * y).store(&got_difference[i]);
    (x * y + y * z).store(&got_two[i]);
  }
  EXPECT_TRUE(same_bits(sum, got_sum)) << type;
  EXPECT_TRUE(same_bits(difference, got_difference)) << type;
  EXPECT_TRUE(same_bits(two, got_two)) << type;
}
TEST(value, products_are_never_contracted) {
  check_products<lane1>("lanes<float, 1>");
  check_products<lane4>("lanes<float, 4>");
  check_products<packed>("pack<float>");
  check_products<lanes<double, 1>>("lanes<double, 1>");
  check_products<lanes<double, 4>>("lanes<double, 4>");
  check_products<widest<double>>("pack<double>");
}

// ---- memory
// ---------------------------------------------------------------------------------------------------------- Nearest
// bf16, ties to even, by comparing exact distances in double.
std::uint16_t nearest_bf16(float f) {
  const auto u = std::bit_cast<std::uint32_t>(f);
  const auto value = [](std::uint32_t upper) {  // of bf16 bits; past the largest comes 2^128
    return (upper & 0x7fff) == 0x7f80 ? std::copysign(0x1p128, upper & 0x8000 ? -1. : 1.)
                                      : double(std::bit_cast<float>(upper << 16));
  };
  const std::uint32_t low = u >> 16;
  if (std::isinf(f)) return std::uint16_t(low);
  const double below = std::abs(double(f) - value(low)), above = std::abs(value(low + 1) - double(f));
  return std::uint16_t(below < above || (below == above && low % 2 == 0) ? low : low + 1);
}
TEST(value, bf16_rounds_to_nearest_even) {
  std::vector<float> f;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper)
    for (std::uint32_t lower : {0u, 1u, 0x1234u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu, 0xc000u})
      f.push_back(std::bit_cast<float>(upper << 16 | lower));
  std::vector<bf16> one(f.size()), four(f.size()), pack(f.size());
  for (std::size_t i = 0; i < f.size(); ++i) lane1::load(&f[i]).store(&one[i]);
  for (std::size_t i = 0; i < f.size(); i += 4) lane4::load(&f[i]).store(&four[i]);
  for (std::size_t i = 0; i < f.size(); i += packed::width) packed::load(&f[i]).store(&pack[i]);
  EXPECT_TRUE(same_bits(one, four));
  EXPECT_TRUE(same_bits(one, pack));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const std::uint16_t got = frugal::to_bf16(f[i]).bits;
    wrong += got != one[i].bits;
    if (std::isnan(f[i])) wrong += !std::isnan(frugal::to_float(bf16{got})) || (got >> 15) != std::signbit(f[i]);
    else wrong += got != nearest_bf16(f[i]);
  }
  EXPECT_EQ(wrong, 0u);
  // All values survive the way there and back.
  std::vector<bf16> all(0x10000), back(0x10000);
  for (std::uint32_t u = 0; u < 0x10000; ++u) all[u].bits = std::uint16_t(u);
  for (std::size_t i = 0; i < all.size(); i += packed::width) packed::load(&all[i]).store(&back[i]);
  for (std::uint32_t u = 0; u < 0x10000; ++u) {
    const float x = frugal::to_float(all[u]);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(x), u << 16);
    ASSERT_EQ(back[u].bits, std::isnan(x) ? u | 0x40 : u);
  }
}

// A half by its definition, in double: sign, exponent, fraction; what would come after the largest is 2^16.
double half_value(std::uint32_t pattern) {
  const std::uint32_t exponent = pattern >> 10 & 31, fraction = pattern & 0x3ff;
  const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, int(exponent) - 25);
  if (exponent == 31 && fraction > 0) return std::numeric_limits<double>::quiet_NaN();
  return pattern & 0x8000 ? -size : size;
}
// All 65536, in memory of each value type, to float and double and back.
TEST(value, every_half) {
  std::vector<half> all(0x10000), back(0x10000), back4(0x10000);
  for (std::uint32_t u = 0; u < 0x10000; ++u) all[u].bits = std::uint16_t(u);
  std::vector<float> wide(all.size()), wide4(all.size());
  std::vector<double> wider(all.size());
  for (std::size_t i = 0; i < all.size(); i += packed::width) {
    packed::load(&all[i]).store(&wide[i]);
    packed::load(&all[i]).store(&back[i]);
  }
  for (std::size_t i = 0; i < all.size(); i += 4) {
    lane4::load(&all[i]).store(&wide4[i]);
    lane4::load(&all[i]).store(&back4[i]);
  }
  for (std::size_t i = 0; i < all.size(); i += widest<double>::width) widest<double>::load(&all[i]).store(&wider[i]);
  EXPECT_TRUE(same_bits(wide, wide4));
  EXPECT_TRUE(same_bits(back, back4));
  for (std::uint32_t u = 0; u < 0x10000; ++u) {
    const bool infinite = (u & 0x7fff) == 0x7c00, nan = (u & 0x7fff) > 0x7c00;
    const auto sign = (u & 0x8000) << 16;
    const float x = frugal::to_float(all[u]);
    if (infinite) ASSERT_EQ(std::bit_cast<std::uint32_t>(x), sign | 0x7f800000);
    else if (nan) ASSERT_EQ(std::bit_cast<std::uint32_t>(x), sign | 0x7fc00000 | (u & 0x3ff) << 13) << u;
    else ASSERT_TRUE(same_bits(half_value(u), x)) << u;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(x), std::bit_cast<std::uint32_t>(wide[u])) << u;
    ASSERT_TRUE(nan || same_bits(double(x), wider[u])) << u;
    ASSERT_EQ(back[u].bits, nan ? u | 0x200 : u);
  }
}
// The nearest, ties to even, by comparing exact distances in double.
std::uint16_t nearest_half(float f) {
  const std::uint32_t sign = std::bit_cast<std::uint32_t>(f) >> 16 & 0x8000;
  const double size = std::abs(double(f));
  if (size >= 65536) return std::uint16_t(sign | 0x7c00);
  std::uint32_t low = 0, above = 0x7c00;  // half_value(low) <= size < half_value(above)
  while (above - low > 1) {
    const std::uint32_t middle = (low + above) / 2;
    (half_value(middle) <= size ? low : above) = middle;
  }
  const double to_low = size - half_value(low), to_above = half_value(above) - size;
  return std::uint16_t(sign | (to_low < to_above || (to_low == to_above && low % 2 == 0) ? low : above));
}
TEST(value, half_rounds_to_nearest_even) {
  std::vector<float> f;
  for (std::uint32_t u = 0; u < 0x7c00; ++u) {  // the middles of neighbours, and what is next to those
    const float middle = float((half_value(u) + half_value(u + 1)) / 2);
    for (float x : {middle, std::nextafterf(middle, 0), std::nextafterf(middle, 1e9f)}) f.push_back(x), f.push_back(-x);
  }
  for (float x : hard_numbers<float>()) f.push_back(x);
  dice d(7);
  while (f.size() % 16 != 0 || f.size() < 400000) {
    const std::uint32_t r = std::uint32_t(d.bits());
    f.push_back(std::bit_cast<float>(r));
    f.push_back(std::bit_cast<float>((r & 0x80ffffff) | (0x60 + (r >> 24 & 0x2f)) << 23));  // where halves are
  }
  std::vector<half> one(f.size()), four(f.size()), pack(f.size());
  for (std::size_t i = 0; i < f.size(); ++i) lane1::load(&f[i]).store(&one[i]);
  for (std::size_t i = 0; i < f.size(); i += 4) lane4::load(&f[i]).store(&four[i]);
  for (std::size_t i = 0; i < f.size(); i += packed::width) packed::load(&f[i]).store(&pack[i]);
  EXPECT_TRUE(same_bits(one, four));
  EXPECT_TRUE(same_bits(one, pack));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const std::uint16_t got = frugal::to_half(f[i]).bits;
    const auto u = std::bit_cast<std::uint32_t>(f[i]);
    wrong += got != one[i].bits;
    wrong += got != (std::isnan(f[i]) ? (u >> 16 & 0x8000) | 0x7e00 | (u >> 13 & 0x3ff) : nearest_half(f[i]));
  }
  EXPECT_EQ(wrong, 0u);
}

// Memory that may not be touched before and after the elements.
template <class T>
class fenced {
 public:
  fenced() {
    memory_ = static_cast<char*>(mmap(nullptr, 3 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory_, page_, PROT_NONE);
    mprotect(memory_ + 2 * page_, page_, PROT_NONE);
  }
  ~fenced() { munmap(memory_, 3 * page_); }
  fenced(fenced const&) = delete;
  fenced& operator=(fenced const&) = delete;
  T* first() { return reinterpret_cast<T*>(memory_ + page_); }
  T* last(index_t n) { return reinterpret_cast<T*>(memory_ + 2 * page_) - n; }

 private:
  std::size_t page_ = std::size_t(sysconf(_SC_PAGESIZE));
  char* memory_;
};

template <class V, class M>
void check_tails(std::string const& type) {
  using T = typename V::scalar;
  fenced<M> memory;
  const V values = [] {
    V v;
    for (int k = 0; k < V::width; ++k) v.v[k] = T(k + 1);
    return v;
  }();
  M whole[64];  // what the elements look like in memory
  for (int k = 0; k < V::width; ++k) whole[k] = frugal::detail::narrow<M>(T(k + 1));
  M guard;
  std::memset(static_cast<void*>(&guard), 0x5a, sizeof guard);
  for (index_t n = 0; n < V::width; ++n)
    for (M* p : {memory.first(), memory.last(n)}) {
      std::vector<M> around(V::width, guard);
      values.store(around.data(), n);
      EXPECT_EQ(std::memcmp(around.data(), whole, std::size_t(n) * sizeof(M)), 0) << type << ", " << n;
      for (index_t k = n; k < V::width; ++k) EXPECT_EQ(std::memcmp(&around[std::size_t(k)], &guard, sizeof guard), 0);
      values.store(p, n);
      const V v = V::load(p, n);
      for (index_t k = 0; k < V::width; ++k) EXPECT_EQ(v.v[k], k < n ? T(k + 1) : T(0)) << type << ", " << n;
      // The same through a list of places, in reverse.
      std::uint32_t at[64];
      for (index_t k = 0; k < n; ++k) at[k] = std::uint32_t(n - 1 - k);
      values.scatter(p, at, n);
      const V reversed = V::load(p, n), again = V::gather(p, at, n);
      for (index_t k = 0; k < V::width; ++k) {
        EXPECT_EQ(reversed.v[k], k < n ? T(n - k) : T(0)) << type << ", " << n;
        EXPECT_EQ(again.v[k], k < n ? T(k + 1) : T(0)) << type << ", " << n;
      }
    }
  // Whole values at the ends of the memory.
  M* const p = memory.last(V::width);
  values.store(p);
  EXPECT_EQ(std::memcmp(p, whole, V::width * sizeof(M)), 0) << type;
  const V v = V::load(p);
  for (int k = 0; k < V::width; ++k) EXPECT_EQ(v.v[k], T(k + 1)) << type;
}
TEST(value, parts_touch_nothing_else) {
  check_tails<lane4, float>("lanes<float, 4>");
  check_tails<lane4, bf16>("lanes<float, 4> of bf16");
  check_tails<lane4, half>("lanes<float, 4> of half");
  check_tails<lane4::integer, std::uint8_t>("lanes<int, 4> of bytes");
  check_tails<packed, float>("pack<float>");
  check_tails<packed, bf16>("pack<float> of bf16");
  check_tails<packed, half>("pack<float> of half");
  check_tails<packed, double>("pack<float> of doubles");
  check_tails<packed::integer, std::uint8_t>("pack<int> of bytes");
  check_tails<widest<double>, double>("pack<double>");
  check_tails<widest<double>, float>("pack<double> of floats");
  check_tails<widest<double>, bf16>("pack<double> of bf16");
}

TEST(value, bytes) {
  std::vector<std::uint8_t> all(256), back(256);
  for (std::size_t k = 0; k < 256; ++k) all[k] = std::uint8_t(k);
  std::vector<std::int32_t> wide(256);
  std::vector<std::int64_t> wider(256);
  for (std::size_t k = 0; k < 256; k += packed::width) {
    const auto v = packed::integer::load(&all[k]);
    v.store(&wide[k]);
    v.store(&back[k]);
  }
  using flags = widest<double>::flags;  // a mask of bytes over doubles
  for (std::size_t k = 0; k < 256; k += flags::width) flags::load(&all[k]).store(&wider[k]);
  for (std::size_t k = 0; k < 256; ++k) {
    EXPECT_EQ(wide[k], std::int32_t(k));
    EXPECT_EQ(wider[k], std::int64_t(k));
  }
  EXPECT_TRUE(same_bits(all, back));
}

}  // namespace
