// SPDX-License-Identifier: Apache-2.0
/// @file The GPU backend, written once. A vendor (backend/vendor/) supplies memory, streams and the launch of a kernel,
/// which is a functor of a context: block(), lane(), lanes(), sync().
#pragma once
#include "../core/memory.hpp"
#include "../core/normal.hpp"
#include "../core/storage.hpp"
#include "../core/view.hpp"
#include "../core/work.hpp"

namespace frugal {
inline namespace v0 {

/// Memory of a vendor's devices.
template <class Vendor>
struct device_space {
  static constexpr char const* name = Vendor::name;
};

namespace detail {

/// f on slots [begin, end), shared by the lanes: groups of four go round, and a lane keeps to its own groups, so that
/// two walks over the same slots need no barrier between them.
FRUGAL_GENERIC template <class T, class F>
FRUGAL_FN void lane_values(unsigned lane, unsigned lanes, index_t begin, index_t end, F const& f) {
  using four = frugal::lanes<T, 4>;
  using one = frugal::lanes<T, 1>;
  const index_t step = 4 * index_t(lanes);
  index_t i = begin + 4 * index_t(lane);
  if (f.aligned(4))
    for (; i + 4 <= end; i += step) f(chunk<four, true>{i, 4});
  for (; i < end; i += step)
    for (index_t k = i; k < end && k < i + 4; ++k) f(chunk<one, true>{k, 1});
}

/// A team on a GPU: a block of threads.
template <class Context>
struct gpu_team {
  template <class T>
  using value = frugal::lanes<T, 4>;
  static constexpr int strings = 1;           // of bits that are best taken at a time: more take too many registers
  static constexpr index_t most = tile_size;  // of the elements of a block, at a time
  Context c;
  unsigned char* memory;

  FRUGAL_GENERIC FRUGAL_FN index_t rank() const { return c.block(); }
  FRUGAL_GENERIC FRUGAL_FN unsigned lane() const { return c.lane(); }
  FRUGAL_GENERIC FRUGAL_FN unsigned lanes() const { return c.lanes(); }
  /// Every lane of the team comes here before one goes on; `line` tells one barrier from another where that is checked.
  FRUGAL_GENERIC FRUGAL_FN void sync(int line = __builtin_LINE()) const { c.sync(line); }
  /// One more, whatever other lanes add at the same time.
  FRUGAL_GENERIC FRUGAL_FN void count(std::uint32_t* p) const { c.count(p); }
  /// The first n of the bins, but negative ones.
  FRUGAL_GENERIC template <class Int>
  FRUGAL_FN void count(std::uint32_t* table, Int bins, index_t n) const {
    FRUGAL_UNROLL for (int k = 0; k < Int::width; ++k) if (k < n && bins.v[k] >= 0) c.count(table + bins.v[k]);
  }
  FRUGAL_GENERIC template <class T>
  FRUGAL_FN T* scratch() const {
    return reinterpret_cast<T*>(memory);
  }
  FRUGAL_GENERIC template <class T, class F>
  FRUGAL_FN void for_values(index_t n, F const& f) const {
    lane_values<T>(c.lane(), c.lanes(), 0, n, f);
  }
  /// Slots [0, n) to bits, bit j mod 8 of byte j div 8 of `to`: the low bits of what f gives for a chunk are those of
  /// its slots. The rest of the last byte is zero. A lane makes whole bytes.
  FRUGAL_GENERIC template <class T, class F>
  FRUGAL_FN void for_bits(index_t n, std::uint8_t* to, F const& f) const {
    using four = value<T>;
    using one = frugal::lanes<T, 1>;
    const bool wide = f.aligned(4);
    for (index_t j = 8 * index_t(c.lane()); j < n; j += 8 * index_t(c.lanes())) {
      std::uint32_t byte = 0;
      if (wide && j + 8 <= n) {
        const std::uint32_t low = f(chunk<four, true>{j, 4}) & 15;
        byte = low | (f(chunk<four, true>{j + 4, 4}) & 15) << 4;
      } else {
        for (index_t k = j; k < n && k < j + 8; ++k) byte |= (f(chunk<one, true>{k, 1}) & 1) << (k - j);
      }
      to[j / 8] = std::uint8_t(byte);
    }
  }
  /// The opposite: f gets each chunk with its bits of R strings, and does not look at others.
  FRUGAL_GENERIC template <class T, int R, class F>
  FRUGAL_FN void with_bits(index_t n, bit_string const (&from)[R], F const& f) const {
    using four = value<T>;
    using one = frugal::lanes<T, 1>;
    const bool wide = f.aligned(4);
    for (index_t j = 8 * index_t(c.lane()); j < n; j += 8 * index_t(c.lanes())) {
      bit_words<R> bits;
      FRUGAL_UNROLL for (int k = 0; k < R; ++k) {
        const index_t at = from[k].skip + j, last = from[k].skip + (j + 8 < n ? j + 8 : n) - 1;
        bits.of[k] = from[k].from[at / 8];
        if (last / 8 > at / 8) bits.of[k] |= std::uint32_t(from[k].from[last / 8]) << 8;
        bits.of[k] >>= at % 8;
      }
      const auto next = [&](int by) { FRUGAL_UNROLL for (int k = 0; k < R; ++k) bits.of[k] >>= by; };
      if (wide && j + 8 <= n) {
        f(chunk<four, true>{j, 4}, bits);
        next(4);
        f(chunk<four, true>{j + 4, 4}, bits);
      } else {
        for (index_t k = j; k < n && k < j + 8; ++k, next(1)) f(chunk<one, true>{k, 1}, bits);
      }
    }
  }
  /// Words, or normal numbers (core/normal.hpp), of `blocks` blocks of a direction: four each, in their order. `to` is
  /// aligned to 16 bytes. A barrier before other lanes read them is the caller's.
  FRUGAL_GENERIC FRUGAL_FN void words(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks,
                                      std::uint32_t* to) const {
    for (index_t i = c.lane(); i < blocks; i += c.lanes())
      reinterpret_cast<philox_block*>(to)[i] = s.block(dir, first + std::uint64_t(i));
  }
  FRUGAL_GENERIC FRUGAL_FN void normals(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks,
                                        float* to) const {
    for (index_t i = c.lane(); i < blocks; i += c.lanes())
      reinterpret_cast<normal_block*>(to)[i] = to_normals(s.block(dir, first + std::uint64_t(i)));
  }
  FRUGAL_FN void prefetch(void const*) const {}  // other teams hide the latency
  /// A block of 8-bit states, or a part of one: its values.
  FRUGAL_GENERIC template <index_t Block, class Book>
  FRUGAL_FN void decode(Book, std::uint8_t const* code, float scale, float* to) const {
    using V = value<float>;
    for (index_t j = 4 * index_t(c.lane()); j < Block; j += 4 * index_t(c.lanes()))
      (Book::template decode<V>(V::integer::load(code + j)) * V(scale)).store(to + j);
  }
  FRUGAL_GENERIC template <index_t Block, class Book>
  FRUGAL_FN void encode(Book, float const* from, float inverse, std::uint8_t* code) const {
    using V = value<float>;
    for (index_t j = 4 * index_t(c.lane()); j < Block; j += 4 * index_t(c.lanes()))
      Book::encode(V::load(from + j), V(inverse)).store(code + j);
  }
  /// The largest finite magnitude of a block; every lane gets it. Magnitudes compare as integers.
  FRUGAL_GENERIC template <index_t Block>
  FRUGAL_FN float peak(float const* p, std::int32_t* slot) const {
    constexpr int slots = int(Block / 4);
    sync();
    for (int s = int(c.lane()); s < slots; s += int(c.lanes())) {
      std::int32_t top = 0;
      for (int k = 4 * s; k < 4 * s + 4; ++k) {
        const std::int32_t m = bit_cast<std::int32_t>(p[k]) & 0x7fffffff;
        top = m < 0x7f800000 && m > top ? m : top;
      }
      slot[s] = top;
    }
    for (int h = slots / 2; h > 0; h /= 2) {
      sync();
      for (int s = int(c.lane()); s < h; s += int(c.lanes())) slot[s] = slot[s] > slot[s + h] ? slot[s] : slot[s + h];
    }
    sync();
    return bit_cast<float>(slot[0]);
  }
  /// The canonical sum of f over n slots from `from` on; every lane gets it.
  FRUGAL_GENERIC template <class T, class F>
  FRUGAL_FN T sum(F const& f, index_t from, index_t n) const {
    using one = frugal::lanes<T, 1>;
    constexpr int slots = int(reduction_slots);
    T* slot = scratch<T>();
    for (int s = int(c.lane()); s < slots; s += int(c.lanes())) {
      one a(T(0));
      for (index_t j = s; j < n; j += slots) a = a + f(chunk<one, true>{from + j, 1});
      slot[s] = a.v[0];
    }
    for (int h = slots / 2; h > 0; h /= 2) {
      sync();
      for (int s = int(c.lane()); s < h; s += int(c.lanes())) slot[s] = slot[s] + slot[s + h];
    }
    sync();
    return slot[0];
  }
};

// Kernels: functors of a context. `threads` is what a vendor's device runs a block with; results do not depend on it.
template <class Work, class F>
struct tile_kernel {
  static constexpr unsigned threads = 256;
  static constexpr int scratch_bytes = 0;
  static constexpr bool synchronises = false;
  static constexpr index_t part = tile_size / 4;  // a block's share: tiles alone would leave a large device idle
  Work w;
  F f;
  index_t blocks() const { return w.tiles * (tile_size / part); }
  FRUGAL_GENERIC template <class Context>
  FRUGAL_FN void operator()(Context const& c, unsigned char*) const {
    const index_t at = c.block() * part;
    const segment seg = w.at(at / tile_size);
    const index_t from = at - seg.first_tile * tile_size, to = from + part < seg.size ? from + part : seg.size;
    if (from >= to) return;
    const auto bound = f.bind(seg);
    if (bound.active) lane_values<typename F::scalar>(c.lane(), c.lanes(), from, to, bound);
  }
};
template <class F>
struct team_kernel {
  static constexpr unsigned threads = F::team_threads;
  static constexpr int scratch_bytes = F::scratch_bytes;
  static constexpr bool synchronises = true;
  F f;
  index_t blocks() const { return f.teams(); }
  FRUGAL_GENERIC template <class Context>
  FRUGAL_FN void operator()(Context const& c, unsigned char* memory) const {
    f(gpu_team<Context>{c, memory});
  }
};
template <class F>
struct single_kernel {
  static constexpr unsigned threads = 1;
  static constexpr int scratch_bytes = 0;
  static constexpr bool synchronises = false;
  F f;
  index_t blocks() const { return 1; }
  FRUGAL_GENERIC template <class Context>
  FRUGAL_FN void operator()(Context const& c, unsigned char*) const {
    if (c.lane() == 0) f();
  }
};

}  // namespace detail

/// A stream of a vendor's current device. Wraps the caller's stream and owns nothing else; copies are the same stream.
/// Every call is in stream order and does not wait, but copy_out() and sync().
template <class Vendor>
class gpu_backend {
 public:
  using space = device_space<Vendor>;
  using stream_type = typename Vendor::stream;
  static constexpr char const* name = Vendor::name;
  static constexpr std::size_t line_bytes = 0;  // accesses are aligned by choosing their width instead

  /// Throws device_error when there is no device.
  explicit gpu_backend(stream_type stream = {}) : stream_(stream) { Vendor::require_device(); }
  /// With device memory from `from`, which outlives every object of this backend. It gets memory back while the stream
  /// may still use it.
  gpu_backend(stream_type stream, memory_resource& from) : gpu_backend(stream) { from_ = &from; }

  void* allocate(std::size_t bytes) const { return from_ ? from_->allocate(bytes) : Vendor::allocate(bytes); }
  void deallocate(void* p, std::size_t bytes) const noexcept {
    if (from_) from_->deallocate(p, bytes);
    else Vendor::deallocate(p, bytes);
  }
  /// From host memory, which may be reused as soon as this returns.
  void copy_in(void* to, void const* from, std::size_t bytes) const { Vendor::copy_in(to, from, bytes, stream_); }
  /// To host memory; waits.
  void copy_out(void* to, void const* from, std::size_t bytes) const {
    Vendor::copy_out(to, from, bytes, stream_);
    sync();
  }
  void copy(void* to, void const* from, std::size_t bytes) const { Vendor::copy(to, from, bytes, stream_); }
  void fill(void* p, std::uint8_t byte, std::size_t bytes) const { Vendor::fill(p, byte, bytes, stream_); }
  void sync() const { Vendor::sync(stream_); }

  template <class Work, class F>
  void for_each(Work const& w, F const& f) const {
    launch(detail::tile_kernel<Work, F>{w, f});
  }
  template <class F>
  void for_teams(F const& f) const {
    launch(detail::team_kernel<F>{f});
  }
  template <class F>
  void run(F const& f) const {
    launch(detail::single_kernel<F>{f});
  }
  stream_type stream() const { return stream_; }
  /// The vendor's number of the current device.
  int device() const { return Vendor::device(); }

 private:
  template <class Kernel>
  void launch(Kernel const& k) const {
    static_assert(std::is_trivially_copyable_v<Kernel>,
                  "frugal: what a kernel is given is copied to the device as bytes");
    const index_t blocks = k.blocks();
    require(blocks <= 0x7fffffff, "the size of a launch", "at most 2^31 - 1 blocks", blocks);
    if (blocks > 0) Vendor::launch(unsigned(blocks), stream_, k);
  }
  stream_type stream_;
  memory_resource* from_ = nullptr;
};

}  // namespace v0
}  // namespace frugal
