// SPDX-License-Identifier: Apache-2.0
/// @file Passes over memory with next to no arithmetic: the limits that kernels are measured against. They take
/// ordinary vectors (16-byte aligned), go to the first array's cache line by single elements, and on from there by
/// whole registers.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

#if defined(__AVX512F__)
inline constexpr char const* isa = "avx512";
inline constexpr std::size_t register_bytes = 64;
#elif defined(__AVX2__)
inline constexpr char const* isa = "avx2";
inline constexpr std::size_t register_bytes = 32;
#elif defined(__SSE2__)
inline constexpr char const* isa = "sse2";
inline constexpr std::size_t register_bytes = 16;
#else
inline constexpr char const* isa = "generic";
inline constexpr std::size_t register_bytes = 16;
#endif
inline constexpr std::size_t register_floats = register_bytes / sizeof(float);
typedef float floats __attribute__((vector_size(register_bytes)));

namespace detail {
inline std::size_t to_boundary(void const* p, std::size_t n) {
  std::size_t const bytes = (register_bytes - reinterpret_cast<std::uintptr_t>(p) % register_bytes) % register_bytes;
  return std::min(n, bytes / sizeof(float));
}

/// f(i, V{}) for all elements: V is a register, or one float at the ends.
template <class F>
inline void each(void const* aligned_to, std::size_t n, F f) {
  std::size_t i = 0;
  for (std::size_t const head = to_boundary(aligned_to, n); i < head; ++i) f(i, float{});
  for (; i + register_floats <= n; i += register_floats) f(i, floats{});
  for (; i < n; ++i) f(i, float{});
}

template <class V>
V load(float const* p) {  // any alignment
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
void store(float* p, V v) {
  std::memcpy(p, &v, sizeof v);
}

// Packs, not loops over p: at -O2 g++ would fetch the pointers from memory for every register. All loads come before
// the stores: a load behind a store whose address ends in the same twelve bits would wait for it.
template <class V, std::size_t... Written, std::size_t... Read>
void touch(std::array<float*, sizeof...(Written) + sizeof...(Read)> const& p, std::size_t i,
           std::index_sequence<Written...>, std::index_sequence<Read...>) {
  auto const store_all = [&](auto... v) { (store(p[Written] + i, v), ...); };
  if constexpr (sizeof...(Read) == 0) {
    store_all(-load<V>(p[Written] + i)...);
  } else {
    V const d = 1e-9f * (load<V>(p[sizeof...(Written) + Read] + i) + ...);
    store_all((load<V>(p[Written] + i) + d)...);
  }
}
}  // namespace detail

/// Reads R arrays and writes the first W of them back in place: the traffic of a fused step. The values stay where they
/// are for millions of passes: the written ones move by 1e-9 of the others, or change their sign if there are no
/// others.
template <int R, int W>
[[gnu::noinline]] void stream(std::array<float*, R> p, std::size_t n) {
  static_assert(0 < W && W <= R);
  detail::each(p[0], n, [p](std::size_t i, auto v) {
    detail::touch<decltype(v)>(p, i, std::make_index_sequence<W>{}, std::make_index_sequence<std::size_t(R - W)>{});
  });
}

/// Reads only. The sum is returned so that the pass cannot be dropped.
[[gnu::noinline]] inline float read_only(float const* x, std::size_t n) {
  constexpr std::size_t step = 4 * register_floats;
  std::size_t i = detail::to_boundary(x, n);
  floats a{}, b{}, c{}, d{};
  for (; i + step <= n; i += step) {
    a += detail::load<floats>(x + i);
    b += detail::load<floats>(x + i + register_floats);
    c += detail::load<floats>(x + i + 2 * register_floats);
    d += detail::load<floats>(x + i + 3 * register_floats);
  }
  float sum = 0;
  a += b + c + d;
  for (std::size_t k = 0; k < register_floats; ++k) sum += a[k];
  for (std::size_t k = 0, head = detail::to_boundary(x, n); k < head; ++k) sum += x[k];
  for (; i < n; ++i) sum += x[i];
  return sum;
}

/// Copies with ordinary stores. The empty asm keeps compilers from making it a call of memcpy, which chooses its own
/// stores.
[[gnu::noinline]] inline void copy(float* to, float const* from, std::size_t n) {
  detail::each(to, n, [to, from](std::size_t i, auto v) {
    using V = decltype(v);
    detail::store(to + i, detail::load<V>(from + i));
    asm volatile("");
  });
}

/// Threads that wait between passes. Pieces are dealt out as they are asked for, so that a core which others slow down
/// does not hold up the rest.
class crew {
 public:
  explicit crew(int threads) {
    for (int k = 1; k < threads; ++k) workers_.emplace_back([this] { serve(); });
  }
  ~crew() {
    stop_ = true;
    wake();
    for (std::thread& w : workers_) w.join();
  }
  crew(crew const&) = delete;
  crew& operator=(crew const&) = delete;

  /// piece(begin, end) over [0, n).
  void run(std::size_t n, std::function<void(std::size_t, std::size_t)> const& piece) {
    if (workers_.empty() || n <= grain) return piece(0, n);
    piece_ = &piece;
    n_ = n;
    next_ = 0;
    busy_ = int(workers_.size());
    wake();
    work();
    for (int b; (b = busy_) != 0;) busy_.wait(b);
  }

 private:
  static constexpr std::size_t grain = 1 << 16;
  void wake() {
    ++pass_;
    pass_.notify_all();
  }
  void work() {
    for (std::size_t i; (i = next_.fetch_add(grain)) < n_;) (*piece_)(i, std::min(n_, i + grain));
  }
  void serve() {
    for (int seen = 0;;) {
      pass_.wait(seen);
      seen = pass_;
      if (stop_) return;
      work();
      if (--busy_ == 0) busy_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::function<void(std::size_t, std::size_t)> const* piece_ = nullptr;
  std::size_t n_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<int> pass_{0}, busy_{0};
  std::atomic<bool> stop_{false};
};

template <int R, int W>
void stream(crew& c, std::array<float*, R> const& p, std::size_t n) {
  c.run(n, [&](std::size_t begin, std::size_t end) {
    std::array<float*, R> q = p;
    for (float*& each : q) each += begin;
    stream<R, W>(q, end - begin);
  });
}

/// The traffic of a step whose states are packed: x and g in full, and each state with `bytes` bytes an element.
template <std::size_t States>
void packed_stream(crew& c, float* x, float* g, std::array<float*, States> const& states, std::size_t bytes,
                   std::size_t n) {
  c.run(n, [&](std::size_t begin, std::size_t end) {
    constexpr std::size_t tile = 16384;
    for (std::size_t i = begin; i < end; i += tile) {
      std::size_t const m = std::min(tile, end - i);
      stream<2, 1>({x + i, g + i}, m);
      for (float* s : states) stream<1, 1>({s + i * bytes / sizeof(float)}, m * bytes / sizeof(float));
    }
  });
}

}  // namespace bench
