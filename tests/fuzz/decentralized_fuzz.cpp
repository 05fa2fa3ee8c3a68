// SPDX-License-Identifier: Apache-2.0
// A rank among neighbours that send anything: a step of gossip or CHOCO uses exactly the messages that the reference
// takes, or it is refused and leaves the vector as it was.
#include <frugal/backend/serial.hpp>
#include <frugal/decentralized/choco.hpp>

#include "hostile_transport.hpp"
#include "reference.hpp"

namespace {
using namespace frugal_fuzz;
constexpr frugal::serial_backend serial;

// At construction all ranks are of one opinion.
reply echo(incoming const&, outgoing const* own) {
  auto const* p = static_cast<std::uint8_t const*>(own->data);
  return {own->head, bytes(p, p + own->head.bytes)};
}

// Steps of `mixing`, whose neighbours are all other ranks. `expected(x, d)` is what x becomes, d being what the
// messages stand for, in the order of the ranks.
template <class C, class Mixing, class Expected>
void steps(script& s, reply_function& answer, Mixing& mixing, C how, Expected const& expected) {
  const index_t n = mixing.layout().size();
  const int me = mixing.world().rank();
  frugal::compressor code(serial, n, how);
  floats x = numbers(n, s.number());
  for (int t = 0; t < 2; ++t) {
    const floats before = x;
    std::vector<std::vector<sent>> d;
    bool fine = true, ok = true;
    answer = [&](incoming const& m, outgoing const* own) {
      const auto says = [&](bytes const& from, int rank) {
        content c = message_says(how, mixing.layout(), from, {rank, std::uint64_t(t)});
        if (fine = fine && c; fine) d.push_back(std::move(*c));
      };
      if (int(d.size()) == me) says(echo(m, own).data, me);
      bool honest;
      reply r{m.expected, some_message(s, code, {m.peer, std::uint64_t(t)}, honest)};
      r.data.resize(std::size_t(m.expected.bytes), 0);  // transports know how much has come
      says(r.data, m.peer);
      if (int(d.size()) == me && me == mixing.world().size() - 1) says(echo(m, own).data, me);
      return r;
    };
    try {
      mixing.step(x);
    } catch (frugal::invalid_argument const&) {
      ok = false;
    }
    must(ok == fine, "a step is taken if all messages are, and not otherwise");
    if (!ok) return must(same_bits(x, before), "what is refused changes nothing");
    must(same_values(x, expected(before, d)), "the step, added in the order of the ranks");
  }
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  script s(data, size);
  const bool compressed = s.flag();
  const index_t n = s.size(200);
  const double ratio = double(s.below(256) + 1) / 256;
  const int ranks = 2 + int(s.below(3)), me = int(s.below(ranks));
  const auto weight = float(1 / double(ranks));
  double rest = 1;
  for (int r = 1; r < ranks; ++r) rest -= double(weight);
  const auto own_weight = float(rest);

  reply_function answer = echo;
  const hostile_comm world(me, ranks, answer);
  const auto everybody = frugal::topology::complete(ranks);
  if (!compressed) {
    frugal::gossip gossip(serial, world, everybody, n);
    steps(s, answer, gossip, frugal::identity{}, [&](floats const&, std::vector<std::vector<sent>> const& d) {
      floats sum(std::size_t(n), -0.f);  // -0 + x is x
      for (int r = 0; r < ranks; ++r) sum = added(std::move(sum), d[std::size_t(r)], r == me ? own_weight : weight);
      return sum;
    });
  } else {
    const frugal::top_k how{.ratio = ratio};
    frugal::choco choco(serial, world, everybody, n, how, {.gamma = 0.25});
    floats u(std::size_t(n), 0.f);
    steps(s, answer, choco, how, [&](floats x, std::vector<std::vector<sent>> const& d) {
      for (int r = 0; r < ranks; ++r)
        u = added(std::move(u), d[std::size_t(r)], r == me ? float(double(own_weight) - 1) : weight);
      return added(std::move(x), sent_of(u), 0.25f);
    });
  }
  return 0;
}
