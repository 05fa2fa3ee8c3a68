// SPDX-License-Identifier: Apache-2.0
// Checkpoints of sharded states: the file is that of the unsharded optimizer, whatever the count of ranks.
#include <gtest/gtest.h>

#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/adamw.hpp>

#include "decentralized/ranks.hpp"
#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;

const frugal::serial_backend cpu;
const frugal::layout model{{"a", {2 * 16384 + 100}}, {"b", {300}}, {"c", {20000}}};

std::vector<std::uint8_t> file_of(auto& object) {
  frugal::checkpoint run;
  run.add("optimizer", object);
  return run.to_bytes();
}
auto made(frugal::loopback_comm& world) {
  return frugal::sharded(frugal::adamw(cpu, model, {}, frugal::blockwise8{}, frugal::shard(model, world)), world);
}

TEST(safetensors_sharded, the_file_of_the_unsharded_optimizer) {
  const auto g = numbers(model.size(), 2);
  frugal::adamw alone(cpu, model, {}, frugal::blockwise8{});
  std::vector<float> x = numbers(model.size(), 1);
  for (int t = 0; t < 3; ++t) alone.step(x, g);
  const auto file = file_of(alone);

  // Four ranks with that gradient: its mean is exact.
  const auto files = on_ranks(4, [&](frugal::loopback_comm& world) {
    auto opt = made(world);
    std::vector<float> y = numbers(model.size(), 1), h;
    for (int t = 0; t < 3; ++t) {
      h = g;
      for (float& v : h) v *= world.rank() == 0 ? 4.f : 0.f;
      opt.step(y, h);
    }
    auto whole = opt.gather();
    return file_of(whole);
  });
  for (auto const& f : files) EXPECT_EQ(f, file);

  // From the unsharded one to two ranks, and back.
  on_ranks(2, [&](frugal::loopback_comm& world) {
    auto opt = made(world);
    auto whole = opt.gather();
    frugal::checkpoint run;
    run.add("optimizer", whole);
    run.from_bytes(file);
    opt.scatter(whole);
    auto again = opt.gather();
    EXPECT_EQ(file_of(again), file);
    frugal::adamw other(cpu, model, {}, frugal::blockwise8{});
    frugal::checkpoint back;
    back.add("optimizer", other);
    back.from_bytes(file_of(again));
    EXPECT_TRUE(same_bits(frugal::save_state(other), frugal::save_state(alone)));

    auto damaged = file;
    damaged[damaged.size() - 5] ^= 1;
    EXPECT_THROW(run.from_bytes(damaged), frugal::invalid_argument);
    return 0;
  });
}

}  // namespace
