// SPDX-License-Identifier: Apache-2.0
// A round of error feedback: what all ranks sent is added up in their order, or nothing is, if one message is not what
// the reference takes.
#include <frugal/backend/serial.hpp>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/ef21.hpp>

#include "reference.hpp"

namespace {
using namespace frugal_fuzz;

// As much of a communicator as a round needs: what was sent is in the script.
struct scripted_world {
  int me;
  std::vector<bytes> sent;
  int rank() const { return me; }
  std::vector<bytes> all_gather_bytes(frugal::detail::host_messages, frugal::message const&) { return sent; }
};

template <class C, class Feedback>
void round_of(script& s, C how, int me, Feedback& feedback) {
  const frugal::layout& l = feedback.layout();
  const index_t n = l.size();
  const auto t = std::uint64_t(feedback.round() - 1);
  scripted_world world{me, {}};
  floats expected = numbers(n, s.number());
  const floats before = expected;
  floats into = before;

  const int ranks = me + 1 + int(s.below(3)), liar = int(s.below(ranks + 1));
  frugal::compressor code(frugal::serial_backend{}, l, how);
  bool fine = true;
  for (int r = 0; r < ranks; ++r) {
    const message_stamp stamp{r, t};
    frugal::message const& own = code.encode(numbers(n, std::uint64_t(r)), stamp);
    world.sent.emplace_back(own.data(), own.data() + own.size());
    bool honest;
    if (r == liar) world.sent.back() = some_message(s, code, stamp, honest);
    const content d = message_says(how, l, world.sent.back(), stamp);
    if (fine = fine && d; fine) expected = added(std::move(expected), *d, float(1. / ranks));
  }
  bool ok = true;
  try {
    feedback.add_mean(world, into);
  } catch (frugal::invalid_argument const&) {
    ok = false;
  }
  must(ok == fine, "a round is taken if all its messages are, and not otherwise");
  if (!ok) must(same_bits(into, before), "what is refused changes nothing");
  else must(same_values(into, expected), "the mean of the messages, added in the order of the ranks");
}

template <class Feedback, class C, class... Eta>
void read(script& s, index_t n, C how, Eta... eta) {
  const int me = int(s.below(3));
  Feedback feedback(frugal::serial_backend{}, n, how, me);
  const floats g = numbers(n, s.number());
  for (index_t rounds = 1 + s.below(2); rounds > 0; --rounds) feedback.compress(g, eta...);
  round_of(s, how, me, feedback);
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  script s(data, size);
  const index_t kind = s.below(3), n = s.size(300);
  const double ratio = double(s.below(256) + 1) / 256;
  using frugal::top_k, frugal::rand_k;
  using serial = frugal::serial_backend;
  switch (kind) {
    case 0:
      read<frugal::ef14<top_k, serial>>(s, n, top_k{.ratio = ratio}, 0.5);
      break;
    case 1:
      read<frugal::ef21<top_k, serial>>(s, n, top_k{.ratio = ratio});
      break;
    case 2:
      read<frugal::ef21<rand_k, serial>>(s, n, rand_k{.ratio = ratio, .seed = s.number()});
      break;
  }
  return 0;
}
