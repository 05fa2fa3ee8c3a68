// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. A target is a function of bytes that it reads as a script: what to construct, which
// message to make and what to do to it. Built with libFuzzer, or with replay_main.cpp where there is none.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <frugal/compress/compressor.hpp>
#include <vector>

extern "C" {
int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);
// Of the sanitizers' run time: called at every allocation.
[[gnu::weak]] int __sanitizer_install_malloc_and_free_hooks(void (*)(void const volatile*, std::size_t),
                                                            void (*)(void const volatile*));
}

namespace frugal_fuzz {

using frugal::index_t, frugal::message_stamp;
using bytes = std::vector<std::uint8_t>;
using floats = std::vector<float>;

// What no input may make false.
inline void must(bool holds, char const* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: violated: %s\n", what);
  std::abort();
}

// The input, number by number; zeros when it is used up.
class script {
 public:
  script(std::uint8_t const* p, std::size_t n) : at_(p), end_(p + n) {}
  std::uint64_t number(int width = 1) {
    std::uint64_t x = 0;
    for (int k = 0; k < width && at_ != end_; ++k) x |= std::uint64_t(*at_++) << (8 * k);
    return x;
  }
  index_t below(index_t n) { return index_t(number(n > 256 ? 2 : 1)) % n; }
  bool flag() { return number() & 1; }
  index_t size(index_t n) { return flag() ? below(n + 1) : below(32); }  // of a vector: mostly a small one, for speed
  bytes take(index_t n) {
    bytes all(std::size_t(n), 0);
    for (std::uint8_t& b : all) b = std::uint8_t(number());
    return all;
  }
  bytes rest() { return take(end_ - at_); }

 private:
  std::uint8_t const *at_, *end_;
};

// Small whole numbers, of which many are equal, and now and then anything that a float can be.
inline floats numbers(index_t n, std::uint64_t seed) {
  floats all(std::size_t(n), 0.f);
  for (float& x : all) {
    const std::uint64_t word = seed = (seed ^ seed >> 29) * 0x9e3779b97f4a7c15u + 1;
    const auto anything = std::uint32_t(word >> 32);
    if (word >> 20 & 7) x = float(index_t(anything >> 3 & 15) - 8);
    else memcpy(&x, &anything, 4);
  }
  return all;
}
inline bool same_bits(floats const& a, floats const& b) {
  return a.size() == b.size() && (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}
// But for the sign and the payload of NaNs, which arithmetic does not define.
inline bool same_values(floats const& a, floats const& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(a[i] != a[i] && b[i] != b[i])) return false;
  return true;
}

// Bytes that this thread has asked of the heap since its construction. Zero without a sanitizer.
class heap_use {
 public:
  heap_use() : before_(total()) {}
  std::size_t bytes() const { return total() - before_; }

 private:
  static std::size_t& total() {
    static thread_local std::size_t all = 0;  // libFuzzer has threads of its own
    [[maybe_unused]] static const int installed =
        __sanitizer_install_malloc_and_free_hooks
            ? __sanitizer_install_malloc_and_free_hooks([](void const volatile*, std::size_t n) { all += n; },
                                                        [](void const volatile*) {})
            : 0;
    return all;
  }
  std::size_t before_;
};
// What a refusal may take: an exception and its text.
inline constexpr std::size_t heap_of_an_error = 4096;

// ---- messages
inline std::uint64_t field(bytes const& m, int at, int width) {
  std::uint64_t x = 0;
  for (int k = 0; k < width; ++k) x |= std::uint64_t(m[std::size_t(at + k)]) << (8 * k);
  return x;
}
inline void set_field(bytes& m, int at, int width, std::uint64_t x) {
  for (int k = 0; k < width; ++k) m[std::size_t(at + k)] = std::uint8_t(x >> (8 * k));
}
inline std::uint64_t checksum(bytes const& m) {
  return frugal::word_hash(m.data() + 64, m.size() - 64, frugal::word_hash(m.data(), 56));
}

// What a network, or somebody else, does to a message.
class damage {
 public:
  explicit damage(script& s) {
    for (index_t k = s.below(4); k > 0; --k) {
      edit e{int(s.below(4)), int(s.number(2)), 0};
      if (e.what != resize) e.value = s.number(e.what == replace ? 8 : 1);
      edits_.push_back(e);
    }
    repair_ = int(s.below(3));
  }
  bool none() const { return edits_.empty(); }
  bytes operator()(bytes m) const {
    for (edit const& e : edits_) {
      auto const& f = fields[std::size_t(e.where) % std::size(fields)];
      if (e.what == resize) {
        m.resize(std::size_t(e.where) % (m.size() + 80), 0);
      } else if (e.what == alter) {
        if (!m.empty()) m[std::size_t(e.where) % m.size()] ^= std::uint8_t(e.value);
      } else if (m.size() >= 64) {
        set_field(m, f.at, f.width, e.what == replace ? e.value : field(m, f.at, f.width) + e.value - 128);
      }
    }
    if (m.size() >= 64) {
      if (repair_ == 2) set_field(m, 48, 8, m.size() - 64);
      if (repair_ >= 1) set_field(m, 56, 8, checksum(m));
    }
    return m;
  }

 private:
  enum : int { alter, replace, add, resize };
  struct edit {
    int what, where;
    std::uint64_t value;
  };
  static constexpr struct {
    int at, width;
  } fields[] = {{0, 2}, {2, 1}, {3, 1}, {4, 4}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 8}};
  std::vector<edit> edits_;
  int repair_ = 0;  // 1: the checksum; 2: the length of the payload, too
};

// What this compressor's encoder makes of a vector; or a header with a payload from the script; or anything. Then
// damaged. `honest` says whether it is as the encoder made it.
template <class C>
bytes some_message(script& s, C& code, message_stamp stamp, bool& honest) {
  const index_t from = s.below(3);
  const damage harm(s);
  if (honest = from == 0 && harm.none(); from == 2) return harm(s.rest());
  const floats x = numbers(code.layout().size(), s.number(2));
  frugal::message const& own = code.encode(x, stamp);
  bytes m(own.data(), own.data() + own.size());
  if (from == 1) {
    const bytes payload = s.take(own.size() - 64);
    std::copy(payload.begin(), payload.end(), m.begin() + 64);
    set_field(m, 56, 8, checksum(m));
  }
  return harm(std::move(m));
}

}  // namespace frugal_fuzz
