// SPDX-License-Identifier: Apache-2.0
// What every communicator must do, as one program that all ranks run. Each result is compared with one computed from
// all ranks' inputs without a communicator; all go into a digest, which must be the same whatever the transport.
#pragma once
#include <cmath>
#include <cstring>
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/communicator.hpp>
#include <frugal/core/hash.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace frugal_test {

using frugal::index_t;
namespace op = frugal::op;

// The input of a rank: numbers of many magnitudes and both signs, so that the order of additions shows in the bits.
template <class T>
std::vector<T> input(int rank, index_t n, std::uint64_t seed) {
  std::vector<T> x(std::size_t(n), T{});
  std::uint64_t s = seed * 1000003 + std::uint64_t(rank) * 7919 + std::uint64_t(n);
  for (T& v : x) {
    std::uint64_t z = s += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    if constexpr (std::is_floating_point_v<T>)
      v = T(double(std::int64_t(z)) / double(std::uint64_t(1) << (40 + z % 24)));
    else v = T(z ^ (z >> 31));
  }
  return x;
}
// The sum (mean ...) of all ranks' inputs, one element after the other.
template <class Op, class T>
std::vector<T> reference(int ranks, index_t n, std::uint64_t seed) {
  std::vector<T> to = input<T>(0, n, seed);
  for (int r = 1; r < ranks; ++r) {
    const std::vector<T> x = input<T>(r, n, seed);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if constexpr (std::is_same_v<Op, op::min>) to[i] = x[i] < to[i] ? x[i] : to[i];
      else if constexpr (std::is_same_v<Op, op::max>) to[i] = x[i] > to[i] ? x[i] : to[i];
      else if constexpr (std::is_integral_v<T>) to[i] = T(std::uint64_t(to[i]) + std::uint64_t(x[i]));
      else to[i] = to[i] + x[i];
    }
  }
  if constexpr (std::is_same_v<Op, op::mean>)
    for (T& v : to) v = v / T(ranks);
  return to;
}

template <class Comm>
class conformance {
 public:
  explicit conformance(Comm comm) : comm_(comm), n_(comm.size()), me_(comm.rank()) {}

  // Returns the digest of all ranks' results; throws at the first that is wrong. `checked` counts comparisons.
  std::uint64_t run() {
    for (index_t n : {0, 1, 2, 3, 5, 255, 256, 257, 4097, 100003}) {
      reduces<op::sum, float>(n), reduces<op::mean, float>(n), reduces<op::min, float>(n), reduces<op::max, float>(n);
      reduces<op::sum, double>(n), reduces<op::mean, double>(n), reduces<op::max, double>(n);
      reduces<op::sum, std::int64_t>(n), reduces<op::min, std::int64_t>(n), reduces<op::max, std::int64_t>(n);
      reduces<op::sum, std::uint8_t>(n), reduces<op::min, std::uint8_t>(n), reduces<op::max, std::uint8_t>(n);
      gathers<float>(n), gathers<double>(n), gathers<std::int64_t>(n), gathers<std::uint8_t>(n);
      one_to_one(n);
      on_a_device(n);
    }
    reduces<op::sum, float>(2 * 1024 * 1024 + 12345);  // several slices
    gathers<std::uint8_t>(5000011);
    not_a_number();
    ragged(), ragged();
    sub_communicators();
    beside(), beside();
    in_any_order();
    refusals();
    counts_bytes();
    comm_.barrier(cpu_);
    auto all = zeros<std::int64_t>(n_);
    comm_.all_gather(cpu_, std::vector<std::int64_t>{std::int64_t(digest_.value())}, all);
    frugal::fnv1a everyone;
    for (std::int64_t d : all) everyone.add(std::uint64_t(d));
    return everyone.value();
  }
  std::int64_t checked() const { return checked_; }

 private:
  void expect(bool ok, std::string const& what) {
    ++checked_;
    if (!ok) throw std::runtime_error("conformance, rank " + std::to_string(me_) + ": " + what);
  }
  template <class T>
  void same(std::vector<T> const& got, std::vector<T> const& want, std::string const& what) {
    expect(got.size() == want.size(), what + ": " + std::to_string(got.size()) + " elements");
    for (std::size_t i = 0; i < got.size(); ++i)
      if (std::memcmp(&got[i], &want[i], sizeof(T)) != 0)
        expect(false, what + ": element " + std::to_string(i) + " is " + std::to_string(got[i]) + ", not " +
                          std::to_string(want[i]));
    ++checked_;
    digest_.add(std::string_view(reinterpret_cast<char const*>(got.data()), got.size() * sizeof(T)));
  }
  int next(int by = 1) const { return (me_ + by) % n_; }
  int before(int by = 1) const { return ((me_ - by) % n_ + n_) % n_; }

  template <class Op, class T>
  void reduces(index_t n) {
    const std::uint64_t seed = seed_++;
    std::vector<T> x = input<T>(me_, n, seed);
    comm_.all_reduce(cpu_, x, Op{});
    same(x, reference<Op, T>(n_, n, seed), "all_reduce of " + std::to_string(n));
    if (n > 5000) return;  // every rank computes every block of every rank
    auto mine = zeros<T>(n);
    comm_.reduce_scatter(cpu_, input<T>(me_, n * n_, seed), mine, Op{});
    const auto all = reference<Op, T>(n_, n * n_, seed);
    same(mine, std::vector<T>(all.begin() + me_ * n, all.begin() + (me_ + 1) * n),
         "reduce_scatter of " + std::to_string(n));
    std::vector<index_t> counts;  // the last rank has nothing
    index_t total = 0, begin = 0;
    for (int r = 0; r < n_; ++r) {
      counts.push_back((n_ - 1 - r) * n);
      begin += r < me_ ? counts.back() : 0;
      total += counts.back();
    }
    auto blocks = input<T>(me_, total, seed);  // added in place
    comm_.reduce_scatter(cpu_, blocks, frugal::view<T>(blocks.data() + begin, counts[std::size_t(me_)]), counts, Op{});
    const auto sums = reference<Op, T>(n_, total, seed);
    same(std::vector<T>(blocks.begin() + begin, blocks.begin() + begin + counts[std::size_t(me_)]),
         std::vector<T>(sums.begin() + begin, sums.begin() + begin + counts[std::size_t(me_)]),
         "an uneven reduce_scatter of " + std::to_string(n));
  }

  template <class T>
  void gathers(index_t n) {
    const std::uint64_t seed = seed_++;
    auto all = zeros<T>(n * n_);
    std::vector<T> want;
    comm_.all_gather(cpu_, input<T>(me_, n, seed), all);
    for (int r = 0; r < n_; ++r) append(want, input<T>(r, n, seed));
    same(all, want, "all_gather");

    const auto uneven = [&](int r) { return r == n_ / 2 ? 0 : n / (r + 1); };
    std::vector<index_t> counts;
    want.clear();
    for (int r = 0; r < n_; ++r) counts.push_back(uneven(r)), append(want, input<T>(r, uneven(r), seed));
    all.assign(want.size(), T{});
    comm_.all_gather(cpu_, input<T>(me_, uneven(me_), seed), all, counts);
    same(all, want, "uneven all_gather");

    // Rank a sends (a + 2 b) n / 16 elements to rank b.
    const auto between = [&](int a, int b) { return (a + 2 * b) * n / 16; };
    std::vector<index_t> in_counts, out_counts;
    std::vector<T> in;
    want.clear();
    for (int r = 0; r < n_; ++r) {
      in_counts.push_back(between(me_, r)), out_counts.push_back(between(r, me_));
      append(in, input<T>(me_, between(me_, r), seed + std::uint64_t(100 * r)));
      append(want, input<T>(r, between(r, me_), seed + std::uint64_t(100 * me_)));
    }
    std::vector<T> out(want.size());
    comm_.all_to_all(cpu_, in, in_counts, out, out_counts);
    same(out, want, "all_to_all");

    for (int root = 0; root < n_; ++root) {
      std::vector<T> x = me_ == root ? input<T>(root, n, seed) : zeros<T>(n);
      comm_.broadcast(cpu_, x, root);
      same(x, input<T>(root, n, seed), "broadcast from " + std::to_string(root));
    }
  }

  void one_to_one(index_t n) {
    const std::uint64_t seed = seed_++;
    auto x = zeros<float>(n);
    if (n_ > 1) {  // a ring: the even ones send first
      for (int phase = 0; phase < 2; ++phase)
        if (me_ % 2 == phase && !(n_ % 2 && me_ == n_ - 1)) comm_.send(cpu_, input<float>(me_, n, seed), next(), 7);
        else if (before() % 2 == phase && !(n_ % 2 && me_ == 0)) comm_.receive(cpu_, x, before(), 7);
      if (n_ % 2 && me_ == n_ - 1) comm_.send(cpu_, input<float>(me_, n, seed), 0, 8);
      if (n_ % 2 && me_ == 0) comm_.receive(cpu_, x, n_ - 1, 8);
      same(x, input<float>(before(), n, seed), "send and receive");
      if (me_ == 0) comm_.send(cpu_, input<std::uint8_t>(0, n, seed), n_ - 1);
      if (me_ == n_ - 1) same(comm_.receive_bytes(0), input<std::uint8_t>(0, n, seed), "receive_bytes");
    }
    // Both neighbours of a ring, with messages of other lengths; those of a ring of two, and oneself, but once.
    using out = frugal::neighbour<double const>;
    using in = frugal::neighbour<double>;
    const auto length = [&](int from) { return n / (from + 1); };
    const auto mine = input<double>(me_, length(me_), seed);
    auto left = zeros<double>(length(before())), right = zeros<double>(length(next()));
    std::vector<out> sends{{next(), mine}};
    std::vector<in> receives{{before(), left}};
    if (n_ > 2) sends.push_back({before(), mine}), receives.push_back({next(), right});
    comm_.neighbour_exchange(cpu_, sends, receives, 3);
    same(left, input<double>(before(), length(before()), seed), "neighbour_exchange, left");
    if (n_ > 2) same(right, input<double>(next(), length(next()), seed), "neighbour_exchange, right");
    // In one direction only.
    if (n_ > 1) {
      if (me_ == 0) sends.resize(1), receives.clear();
      else if (me_ == 1) sends.clear(), left.assign(std::size_t(length(0)), 0), receives = {{0, left}};
      else sends.clear(), receives.clear();
      comm_.neighbour_exchange(cpu_, sends, receives);
      if (me_ == 1) same(left, input<double>(0, length(0), seed), "neighbour_exchange, one way");
    }
  }

  // The same calls with data that the host cannot touch.
  void on_a_device(index_t n) {
    const std::uint64_t seed = seed_++;
    using device = frugal::emulated_backend;
    const device gpu;
    using buffer = frugal::buffer<float, device>;
    const auto ranks = std::size_t(n_);
    buffer x(gpu, input<float>(me_, n, seed)), all(gpu, n * n_), mine(gpu, n);
    comm_.all_reduce(gpu, x.view(), op::mean{});
    same(to_host(gpu, x.view()), reference<op::mean, float>(n_, n, seed), "all_reduce on a device");
    to_backend(gpu, x.view(), input<float>(me_, n, seed));
    comm_.all_gather(gpu, x.view(), all.view());
    std::vector<float> want;
    for (int r = 0; r < n_; ++r) append(want, input<float>(r, n, seed));
    same(to_host(gpu, all.view()), want, "all_gather on a device");
    comm_.reduce_scatter(gpu, all.view(), mine.view());
    auto sums = zeros<float>(n);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] = want[std::size_t(me_) * sums.size() + i];
      for (std::size_t r = 1; r < ranks; ++r) sums[i] += want[std::size_t(me_) * sums.size() + i];
    }
    same(to_host(gpu, mine.view()), sums, "reduce_scatter on a device");
    comm_.broadcast(gpu, x.view(), n_ - 1);
    same(to_host(gpu, x.view()), input<float>(n_ - 1, n, seed), "broadcast on a device");
    using space = device::space;
    to_backend(gpu, x.view(), input<float>(me_, n, seed));
    comm_.neighbour_exchange(gpu, std::vector<frugal::neighbour<float const, space>>{{next(), x.view()}},
                             std::vector<frugal::neighbour<float, space>>{{before(), mine.view()}});
    same(to_host(gpu, mine.view()), input<float>(before(), n, seed), "neighbour_exchange on a device");
    auto h = comm_.all_reduce_async(gpu, x.view());
    h.wait(gpu, mine.view());
    same(to_host(gpu, mine.view()), reference<op::sum, float>(n_, n, seed), "all_reduce_async on a device");
    std::vector<index_t> counts(ranks, n);
    if (n > 5000) return;
    buffer swapped(gpu, n * n_);
    comm_.all_to_all(gpu, all.view(), counts, swapped.view(), counts);
    want.clear();
    for (int r = 0; r < n_; ++r) append(want, input<float>(me_, n, seed));
    same(to_host(gpu, swapped.view()), want, "all_to_all on a device");
    frugal::buffer<std::uint8_t, device> text(gpu, input<std::uint8_t>(me_, n, seed));
    const auto texts = comm_.all_gather_bytes(gpu, text.view());
    const auto from = comm_.neighbour_exchange_bytes(
        gpu, std::vector<frugal::neighbour<std::uint8_t const, space>>{{next(), text.view()}}, {before()});
    same(texts[std::size_t(before())], from[0], "bytes of a device");
  }

  void not_a_number() {
    const float nan = std::nanf("");
    for (int r = 0; r < n_; ++r) {
      std::vector<float> x(9, me_ == r ? nan : float(me_)), y = x;
      comm_.all_reduce(cpu_, x, op::max{});
      comm_.all_reduce(cpu_, y, op::min{});
      for (int i = 0; i < 9; ++i)
        expect(std::isnan(x[std::size_t(i)]) && std::isnan(y[std::size_t(i)]), "max of a NaN");
    }
  }

  // Messages of which the receivers do not know the length.
  void ragged() {
    const std::uint64_t seed = seed_++;
    const auto length = [&](int from, int to) { return index_t(from == to ? 0 : 3000 * from + 100 * to); };
    std::vector<std::vector<std::uint8_t>> in;
    for (int r = 0; r < n_; ++r) in.push_back(input<std::uint8_t>(me_, length(me_, r), seed));
    const auto out = comm_.all_to_all_bytes(cpu_, in);
    const auto all = comm_.all_gather_bytes(cpu_, input<std::uint8_t>(me_, length(me_, 99), seed));
    for (int r = 0; r < n_; ++r) {
      same(out[std::size_t(r)], input<std::uint8_t>(r, length(r, me_), seed), "all_to_all_bytes");
      same(all[std::size_t(r)], input<std::uint8_t>(r, length(r, 99), seed), "all_gather_bytes");
    }
    const auto mine = input<std::uint8_t>(me_, 100 * me_, seed);
    const auto got = comm_.neighbour_exchange_bytes(
        cpu_, std::vector<frugal::neighbour<std::uint8_t const>>{{next(), mine}}, {before()});
    same(got[0], input<std::uint8_t>(before(), 100 * before(), seed), "neighbour_exchange_bytes");
  }

  void sub_communicators() {
    const std::uint64_t seed = seed_++;
    Comm half = comm_.split(me_ % 2, -me_);  // the last first
    std::vector<int> members;
    for (int r = n_ - 1; r >= 0; --r)
      if (r % 2 == me_ % 2) members.push_back(r);
    expect(half.size() == int(members.size()) && members[std::size_t(half.rank())] == me_, "the ranks of a split");
    auto x = input<float>(me_, 1000, seed);
    half.all_reduce(cpu_, x);
    std::vector<float> want(1000, 0.f);
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto y = input<float>(members[m], 1000, seed);
      for (std::size_t i = 0; i < y.size(); ++i) want[i] = m == 0 ? y[i] : want[i] + y[i];
    }
    same(x, want, "all_reduce in half of the ranks");
    // Both at once, and a part of a part.
    std::vector<float> y{float(half.rank())};
    auto h = half.all_reduce_async(cpu_, y);
    comm_.all_reduce(cpu_, y);
    Comm alone = half.split(half.rank());
    expect(alone.size() == 1 && alone.rank() == 0, "a part of a part");
    alone.all_reduce(cpu_, y, op::mean{});
    digest_.add(std::uint64_t(y[0]));
    const float k = float(members.size());
    same(h.wait(), {k * (k - 1) / 2}, "all_reduce_async in half of the ranks");
  }

  void beside() {
    const std::uint64_t seed = seed_++;
    auto a = comm_.all_reduce_async(cpu_, input<float>(me_, 300000, seed), op::mean{});
    const auto text = input<std::uint8_t>(me_, 5000 * me_, seed);
    auto b = comm_.neighbour_exchange_bytes_async(
        cpu_, std::vector<frugal::neighbour<std::uint8_t const>>{{next(), text}}, {before()});
    auto c = comm_.all_reduce_async(cpu_, input<double>(me_, 11, seed), op::max{});
    reduces<op::sum, float>(1001);  // in between
    same(c.wait(), reference<op::max, double>(n_, 11, seed), "all_reduce_async, waited for first");
    expect(a.ready(), "a call is ready when a later one is");
    same(b.wait()[0], input<std::uint8_t>(before(), 5000 * before(), seed), "neighbour_exchange_bytes_async");
    std::vector<float> x(300000);
    a.wait(cpu_, x);
    same(x, reference<op::mean, float>(n_, 300000, seed), "all_reduce_async");
    comm_.all_reduce_async(cpu_, x);  // a handle that nobody waits for completes, too
  }

  void in_any_order() {
    for (index_t n : {0, 1, 1000, 1500000}) {
      auto x = input<float>(me_, n, 5);
      const auto want = reference<op::mean, float>(n_, n, 5);
      comm_.all_reduce(cpu_, x, op::mean{}, frugal::any_order);
      for (std::size_t i = 0; i < x.size(); i += 997)
        expect(std::abs(x[i] - want[i]) <= 1e-5f * (1 + std::abs(want[i])), "all_reduce in any order");
      frugal::fnv1a bits;
      bits.add(std::string_view(reinterpret_cast<char const*>(x.data()), x.size() * sizeof(float)));
      auto all = zeros<std::int64_t>(n_);
      const std::vector<std::int64_t> mine{std::int64_t(bits.value())};
      comm_.all_gather(cpu_, mine, all);
      for (std::int64_t d : all) expect(d == mine[0], "all_reduce in any order: bits differ between ranks");
      auto k = input<std::int64_t>(me_, n, 6);
      comm_.all_reduce(cpu_, k, op::sum{}, frugal::any_order);
      same(k, reference<op::sum, std::int64_t>(n_, n, 6), "all_reduce of integers in any order");
    }
  }

  // A caller's mistake is told before anything is sent: the communicator works on.
  void refusals() {
    std::vector<float> x(5), y(7);
    std::vector<index_t> counts(std::size_t(n_), 1);
    const auto refused = [&](auto const& f) {
      try {
        f();
      } catch (frugal::invalid_argument const&) {
        return true;
      }
      return false;
    };
    expect(refused([&] { comm_.broadcast(cpu_, x, n_); }), "a root that is no rank");
    expect(refused([&] { comm_.send(cpu_, x, -1); }), "a receiver that is no rank");
    expect(refused([&] { comm_.send(cpu_, x, 0, -1); }), "a negative tag");
    expect(refused([&] { comm_.all_gather(cpu_, x, zeros<float>(5 * n_ + 1)); }), "a wrong size");
    expect(refused([&] { comm_.all_gather(cpu_, x, y, counts); }), "counts that do not match");
    expect(refused([&] { comm_.reduce_scatter(cpu_, zeros<float>(5 * n_ + 1), x); }), "blocks");
    expect(refused([&] { comm_.reduce_scatter(cpu_, y, x, counts); }), "blocks that do not match");
    expect(refused([&] { comm_.split(-1); }), "a negative colour");
    using to = frugal::neighbour<float const>;
    expect(refused([&] {
             comm_.neighbour_exchange(cpu_, std::vector<to>{{0, x}, {0, x}}, std::vector<frugal::neighbour<float>>{});
           }),
           "a rank twice");
    reduces<op::sum, float>(10);
  }

  void counts_bytes() {
    const index_t n = 1200, bytes = n * 4;  // shares of 2, 3 and 4 ranks are even
    auto x = zeros<float>(n), all = zeros<float>(n * n_), blocks = all;
    using kind = frugal::message_kind;
    std::int64_t total = 0;
    const auto sent = [&](kind k, std::int64_t want, auto const& f) {
      const auto was = comm_.bytes_sent(k), was_total = comm_.bytes_sent();
      f();
      expect(comm_.bytes_sent(k) - was == want, std::string("bytes sent by ") + name_of(k) + ": " +
                                                    std::to_string(comm_.bytes_sent(k) - was) + ", not " +
                                                    std::to_string(want));
      expect(comm_.bytes_sent() - was_total == want, "all bytes sent");
      total += want;
    };
    if (1200 % n_ == 0) {
      sent(kind::all_reduce, 2 * (n_ - 1) * bytes / n_, [&] { comm_.all_reduce(cpu_, x); });
      sent(kind::all_reduce, 2 * (n_ - 1) * bytes / n_, [&] { comm_.all_reduce_async(cpu_, x).wait(); });
    }
    sent(kind::reduce_scatter, (n_ - 1) * bytes, [&] { comm_.reduce_scatter(cpu_, blocks, x); });
    sent(kind::all_gather, (n_ - 1) * bytes, [&] { comm_.all_gather(cpu_, x, all); });
    sent(kind::all_to_all, (n_ - 1) * bytes, [&] {
      std::vector<index_t> counts(std::size_t(n_), n);
      comm_.all_to_all(cpu_, blocks, counts, all, counts);
    });
    sent(kind::barrier, 0, [&] { comm_.barrier(cpu_); });
    if (n_ > 1)
      sent(kind::send, me_ == 0 ? bytes : 0, [&] {
        if (me_ == 0) comm_.send(cpu_, x, 1);
        if (me_ == 1) comm_.receive(cpu_, x, 0);
      });
    // A tree: all but the root get it once.
    const auto was = comm_.bytes_sent(kind::broadcast);
    comm_.broadcast(cpu_, x, n_ - 1);
    std::vector<std::int64_t> tree{comm_.bytes_sent(kind::broadcast) - was};
    comm_.all_reduce(cpu_, tree);
    expect(tree[0] == (n_ - 1) * bytes, "bytes sent by broadcast");
    digest_.add(std::uint64_t(total));
  }

  template <class T>
  static std::vector<T> zeros(index_t n) {
    return std::vector<T>(std::size_t(n), T{});
  }
  template <class T>
  static void append(std::vector<T>& to, std::vector<T> const& x) {
    to.insert(to.end(), x.begin(), x.end());
  }

  Comm comm_;
  int n_, me_;
  frugal::serial_backend cpu_;
  std::uint64_t seed_ = 1;
  frugal::fnv1a digest_;
  std::int64_t checked_ = 0;
};

}  // namespace frugal_test
