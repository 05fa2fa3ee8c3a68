// SPDX-License-Identifier: Apache-2.0
// Every call of a communicator, with other ranks that send anything: an envelope that is not the one expected is an
// error and nothing else, and no byte is received where there is no room for it.
#include <frugal/backend/serial.hpp>

#include "hostile_transport.hpp"

namespace {
using namespace frugal_fuzz;
using frugal::neighbour;
constexpr frugal::serial_backend serial;

template <class T>
std::vector<T> ones(index_t n) {
  return std::vector<T>(std::size_t(n), T(1));
}
template <class T>
void collective(hostile_comm& comm, index_t n, index_t which) {
  std::vector<T> x = ones<T>(n), all = ones<T>(n * comm.size());
  switch (which) {
    case 0:
      return comm.all_reduce(serial, x);
    case 1:
      return comm.all_reduce(serial, x, frugal::op::max{}, frugal::any_order);
    case 2:
      return comm.reduce_scatter(serial, all, x, frugal::op::min{});
    case 3:
      return comm.all_gather(serial, x, all);
    case 4:
      return comm.broadcast(serial, x, int(n) % comm.size());
    case 5:
      return void(comm.all_reduce_async(serial, x).wait());
  }
}
void call(hostile_comm& comm, script& s) {
  const int other = int(s.below(comm.size())), tag = int(s.below(4));
  const index_t n = s.below(300);
  floats room(std::size_t(n), 1.f);
  const std::vector<neighbour<float>> data{{other, room}};
  const std::vector<neighbour<std::uint8_t>> nothing;
  std::vector<index_t> counts;
  index_t total = 0;
  for (int r = 0; r < comm.size(); ++r) total += counts.emplace_back(s.below(20));
  switch (s.below(12)) {
    case 0:
      return collective<float>(comm, n, s.below(6));
    case 1:
      return collective<std::int64_t>(comm, n, s.below(6));
    case 2:
      return comm.receive(serial, room, other, tag);
    case 3:
      return void(comm.receive_bytes(other, tag));
    case 4:
      return comm.neighbour_exchange(serial, data, data, tag);
    case 5:
      return void(comm.neighbour_exchange_bytes(serial, nothing, {other}, tag));
    case 6:
      return void(comm.neighbour_exchange_bytes_async(serial, nothing, {other}).wait());
    case 7: {
      auto mine = ones<double>(counts[std::size_t(comm.rank())]), all = ones<double>(total);
      return comm.all_gather(serial, mine, all, counts);
    }
    case 8: {
      auto mine = ones<std::uint8_t>(total), all = mine;
      return comm.all_to_all(serial, mine, counts, all, counts);
    }
    case 9:
      return void(comm.all_gather_bytes(serial, ones<std::uint8_t>(n)));
    case 10:
      return void(comm.all_to_all_bytes(serial, std::vector<bytes>(std::size_t(comm.size()))));
    case 11:
      return comm.split(int(n), tag).barrier(serial);
  }
}
// The envelope that is expected; now and then, some of its bytes are others.
reply anything(script& s, incoming const& m, bool& lied) {
  reply r{m.expected, {}};
  envelope& e = r.head;
  if (m.any_size) e.bytes = s.below(400), e.count = index_t(s.number());
  const index_t length = e.bytes;
  if (s.below(8) == 0) {
    std::uint8_t raw[sizeof e];
    memcpy(raw, &e, sizeof e);
    for (index_t k = s.below(3), at = s.below(index_t(sizeof e)); k >= 0 && at < index_t(sizeof e); --k, ++at)
      raw[at] ^= std::uint8_t(s.number());
    memcpy(&e, raw, sizeof e);
  }
  envelope const& x = m.expected;
  lied = lied || e.magic != x.magic || e.kind != x.kind || e.type != x.type || e.op != x.op || e.number != x.number ||
         e.root != x.root || (m.any_size ? e.bytes < 0 : e.count != x.count || e.bytes != x.bytes);
  if (m.any_size && e.bytes >= 0) e.bytes = length;  // transports know how much has come
  r.data = s.take(length);
  return r;
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  script s(data, size);
  const int ranks = 1 + int(s.below(4)), me = int(s.below(ranks));
  bool lied = false, ok = true;
  const reply_function answer = [&](incoming const& m, outgoing const*) { return anything(s, m, lied); };
  hostile_comm comm(me, ranks, answer);
  try {
    for (index_t calls = 1 + s.below(4); calls > 0; --calls) call(comm, s);
  } catch (frugal::comm_error const&) {
    ok = false;
  }
  must(ok != lied, "an envelope that is not the one expected is an error, and nothing else is");
  return 0;
}
