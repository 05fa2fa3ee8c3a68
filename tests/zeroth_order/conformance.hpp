// SPDX-License-Identifier: Apache-2.0
// What ranks of the family zeroth_order do together, as one program: the digest of all ranks' weights must be the same
// whatever the transport.
#pragma once
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/zeroth_order/replicas.hpp>

#include "support/bits.hpp"

namespace frugal_test {

// A loss of this rank's own: half the square of the distance to a point.
struct distance {
  float to;
  double operator()(std::vector<float> const& x) const {
    double s = 0;
    for (float v : x) s += (double(v) - double(to)) * (double(v) - double(to));
    return s / 2;
  }
};

template <class Transport>
class zeroth_order_conformance {
 public:
  explicit zeroth_order_conformance(frugal::communicator<Transport> world) : world_(std::move(world)) {}

  std::uint64_t run() {
    train(frugal::serial_backend{}, frugal::rademacher{});
    train(frugal::serial_backend{}, frugal::gaussian{});
    train(frugal::emulated_backend{}, frugal::spherical{});
    join_late();
    return digest_.value();
  }

 private:
  template <class Backend, class Direction>
  void train(Backend const& b, Direction kind) {
    frugal::replicas together(
        frugal::mezo(b, frugal::layout{{"a", {300}}, {"b", {20, 31}}},
                     {.lr = 1e-3, .weight_decay = 0.1, .momentum = 0.5, .seed = 5}, kind, frugal::restored_from_copy{}),
        world_, {.check_every = 4});
    frugal::buffer<float, Backend> x(b, numbers(920, 1));
    for (int t = 0; t < 9; ++t)
      together.step(x.view(), [&] { return distance{float(world_.rank())}(frugal::to_host(b, x.view())); });
    digest_.add(together.fingerprint(x.view()));
  }
  // All but the last rank train. The last has the first weights, gets the log, and goes on with the others.
  void join_late() {
    if (world_.size() < 2) return;
    const int last = world_.size() - 1;
    std::vector<int> early;
    for (int r = 0; r < last; ++r) early.push_back(r);
    std::vector<float> x = numbers(500, 2);
    frugal::mezo zo(cpu_, 500, {.lr = 1e-2, .seed = 6}, frugal::rademacher{}, frugal::restored_from_copy{});
    const auto loss = [&] { return distance{float(world_.rank())}(x); };
    auto some = world_.split(world_.rank() == last ? 1 : 0);
    if (world_.rank() == last) {
      frugal::update_log::replay(zo, x, world_.receive_bytes(0));
    } else {
      frugal::replicas first(std::move(zo), some);
      for (int t = 0; t < 20; ++t) first.step(x, loss);
      const frugal::message log = first.log().bytes();
      if (world_.rank() == 0)
        world_.send(frugal::detail::host_messages{}, frugal::view<std::uint8_t const>(log.data(), log.size()), last);
      zo = std::move(first.optimizer());
    }
    frugal::replicas together(std::move(zo), world_, {.check_every = 1});
    together.compare(x);
    for (int t = 0; t < 5; ++t) together.step(x, loss);
    digest_.add(together.fingerprint(x));
  }

  frugal::serial_backend cpu_;
  frugal::communicator<Transport> world_;
  frugal::fnv1a digest_;
};

}  // namespace frugal_test
