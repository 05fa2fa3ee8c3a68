// SPDX-License-Identifier: Apache-2.0
// Every compressor's reader. It takes a message exactly if the reference does, and then reads the same from it, as
// often as it is asked; what it refuses changes nothing; neither asks for memory that a message names.
#include <frugal/backend/serial.hpp>

#include "reference.hpp"

namespace {
using namespace frugal_fuzz;

// Whether f() was not refused. Nothing but a refusal may come out of it.
template <class F>
bool taken(F const& f) {
  try {
    f();
    return true;
  } catch (frugal::invalid_argument const&) {
    return false;
  }
}

template <class C>
void read(script& s, index_t n, C how) {
  frugal::compressor code(frugal::serial_backend{}, n, how);
  const message_stamp stamp{std::int32_t(s.number() - 2), s.number() * 0x0101010101010101u};
  const index_t offset = s.below(4);
  const float scale = float(s.below(9) - 4) / 4;
  const floats before = numbers(n, s.number());
  bool honest;
  bytes m = some_message(s, code, stamp, honest);
  const content expected = message_says(how, code.layout(), m, stamp);
  must(expected || !honest, "what was encoded is taken");

  m.insert(m.begin(), std::size_t(offset), 0);  // payloads need not be aligned
  m.shrink_to_fit();
  const frugal::view<std::uint8_t const> wire(m.data() + offset, index_t(m.size()) - offset);
  floats x = before, y = before;
  const heap_use heap;
  const bool ok = taken([&] { code.add_to(x, wire, double(scale), stamp); });
  must(heap.bytes() <= (ok ? 0 : heap_of_an_error), "the memory that add_to asks for");
  must(ok == expected.has_value(), "add_to takes what the format allows, and nothing else");
  must(taken([&] { code.decode(y, wire, stamp); }) == ok, "decode takes what add_to takes");
  if (!ok) return must(same_bits(x, before) && same_bits(y, before), "what is refused changes nothing");
  must(same_values(x, added(before, *expected, scale)), "x + scale D");
  must(same_values(y, alone(n, *expected)), "D");
  floats again = before;
  code.add_to(again, code.check(wire, stamp), double(scale));
  must(same_values(again, x), "the same a second time");
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  script s(data, size);
  const index_t kind = s.below(6), n = s.size(600), part = s.below(256) + 1;
  switch (kind) {
    case 0:
      read(s, n, frugal::identity{});
      break;
    case 1:
      read(s, n + 1, frugal::top_k{.k = 1 + part % (n + 1)});
      break;
    case 2:
      read(s, n, frugal::top_k{.ratio = double(part) / 256});
      break;
    case 3:
      read(s, n, frugal::rand_k{.ratio = double(part) / 256, .seed = s.number(), .shared = s.flag()});
      break;
    case 4:
      read(s, n, frugal::scaled_sign{});
      break;
    case 5:
      read(s, n, frugal::scaled_sign{.block = 256});
      break;
  }
  return 0;
}
