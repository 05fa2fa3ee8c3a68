// SPDX-License-Identifier: Apache-2.0
// What every compressor must do: compressor_suite.cpp, compiled once for all of them. The test file of a compressor
// lists values of it,
//
//   INSTANTIATE_TEST_SUITE_P(top_k, compressor_suite, these(frugal::top_k{.k = 1}, frugal::top_k{.ratio = 0.1}));
//
// and what only it does.
#pragma once
#include <cmath>
#include <frugal/compress/compressor.hpp>
#include <functional>

#include "backends.hpp"
#include "driver.hpp"
#include "golden.hpp"

namespace frugal_test {

using bytes = std::vector<std::uint8_t>;
using wire = frugal::view<std::uint8_t const>;
inline bytes bytes_of(frugal::message const& m) { return {m.data(), m.data() + m.size()}; }

// A compressor on a machine, as seen from the host.
struct codec {
  virtual ~codec() = default;
  virtual bytes encode(std::vector<float> const& x, frugal::message_stamp = {}, frugal::index_t offset = 0) = 0;
  virtual std::vector<float> add_to(std::vector<float> const& x, wire, double scale = 1, frugal::message_stamp = {},
                                    frugal::index_t offset = 0) = 0;
  virtual std::vector<float> decode(wire, frugal::message_stamp = {}) = 0;
  virtual double alpha() const = 0;
  virtual frugal::index_t max_wire_bytes() const = 0;
  virtual frugal::message const& last() const = 0;
  virtual long allocated() const = 0;  // by the last encode
};

template <class C, class Backend>
class codec_of final : public codec {
 public:
  codec_of(Backend const& b, frugal::layout const& l, C how) : backend_(b), compressor_(b, l, how) {}
  bytes encode(std::vector<float> const& x, frugal::message_stamp stamp, frugal::index_t offset) override {
    const there<float, Backend> d(backend_, x, offset);
    const long before = allocations;
    frugal::message const& m = compressor_.encode(d.constant(), stamp);
    allocated_ = allocations - before;
    return bytes_of(m);
  }
  std::vector<float> add_to(std::vector<float> const& x, wire m, double scale, frugal::message_stamp stamp,
                            frugal::index_t offset) override {
    const there<float, Backend> d(backend_, x, offset);
    try {
      compressor_.add_to(d.all(), m, scale, stamp);
    } catch (frugal::invalid_argument const&) {
      EXPECT_TRUE(same_bits(x, d.get())) << "changed, though refused";
      throw;
    }
    return d.get();
  }
  std::vector<float> decode(wire m, frugal::message_stamp stamp) override {
    const there<float, Backend> d(backend_, std::vector<float>(std::size_t(compressor_.layout().size()), 7.f));
    compressor_.decode(d.all(), m, stamp);
    return d.get();
  }
  double alpha() const override { return compressor_.alpha(); }
  frugal::index_t max_wire_bytes() const override { return compressor_.max_wire_bytes(); }
  frugal::message const& last() const override { return compressor_.last(); }
  long allocated() const override { return allocated_; }

 private:
  Backend backend_;
  frugal::compressor<C, Backend> compressor_;
  long allocated_ = 0;
};
template <class C>
std::unique_ptr<codec> make_codec(machine const& m, frugal::layout const& l, C how) {
  if (m.lanes > 0) {
    using emulated = frugal::emulated_backend;
    return std::make_unique<codec_of<C, emulated>>(emulated({.seed = m.seed, .lanes = m.lanes}), l, how);
  }
  if (m.threads > 0) return std::make_unique<codec_of<C, frugal::tbb_backend>>(frugal::tbb_backend(m.threads), l, how);
  return std::make_unique<codec_of<C, frugal::serial_backend>>(frugal::serial_backend{}, l, how);
}

using codec_maker = std::function<std::unique_ptr<codec>(machine const&, frugal::layout const&)>;
class compressor_suite : public testing::TestWithParam<codec_maker> {
 public:
  static std::unique_ptr<codec> make(machine const& m, frugal::layout const& l) { return GetParam()(m, l); }
};
// Values that take vectors of any size.
template <class... C>
auto these(C... how) {
  return testing::Values(
      codec_maker([how](machine const& m, frugal::layout const& l) { return make_codec(m, l, how); })...);
}

// The vector of a case of golden/compressors.txt: its own, or the numbers of golden/reduction.py.
inline std::vector<float> input_of(golden_case const& c) {
  if (c.count("x") > 0) return c.numbers<float>("x");
  std::vector<float> x;
  for (std::uint64_t j = 0; j < c.number<std::uint64_t>("n"); ++j)
    x.push_back(float(std::ldexp(double((j * 2654435761u & 0xffffffffu) >> 8) * 0x1p-24 - 0.5, int(j % 7) - 3)));
  return x;
}
// Sums in double.
inline double square_norm(std::vector<float> const& x) {
  double s = 0;
  for (float v : x) s += double(v) * v;
  return s;
}
inline double square_distance(std::vector<float> const& a, std::vector<float> const& b) {
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) s += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return s;
}
// A message with a checksum that fits what it now is.
inline bytes sealed(bytes m) {
  const std::uint64_t sum = frugal::word_hash(m.data() + 64, m.size() - 64, frugal::word_hash(m.data(), 56));
  for (int k = 0; k < 8; ++k) m[std::size_t(56 + k)] = std::uint8_t(sum >> (8 * k));
  return m;
}

}  // namespace frugal_test
