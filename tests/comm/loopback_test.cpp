// SPDX-License-Identifier: Apache-2.0
#include <frugal/comm/loopback.hpp>

#include <gtest/gtest.h>

#include "conformance.hpp"

using namespace frugal_test;
using frugal::comm_error;
using frugal::loopback_comm;
using frugal::loopback_options;
using frugal::run_loopback;

namespace {

const frugal::serial_backend cpu;

// What the run throws, a comm_error.
template <class Body>
std::string error_of(int ranks, Body const& body, loopback_options const& options = {}) {
  try {
    run_loopback(ranks, body, options);
  } catch (comm_error const& e) {
    return e.what();
  }
  return "no error";
}
bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }
#define EXPECT_CONTAINS(text, part) EXPECT_TRUE(contains(text, part)) << "the text is: " << text

TEST(loopback, conforms) {
#if defined(__SANITIZE_ADDRESS__)
  const std::vector<int> sizes{3};  // the same accesses at every size, and slow ones
#else
  const std::vector<int> sizes{1, 2, 3, 4};
#endif
  for (int n : sizes) {
    std::vector<std::uint64_t> digest(static_cast<std::size_t>(n));
    for (loopback_options const& o :
         {loopback_options{}, loopback_options{.seed = 7, .latency = 1e-3, .bandwidth = 1e6, .jitter = 1e-2}}) {
      std::vector<std::int64_t> checked(digest.size());
      std::vector<std::uint64_t> now(digest.size());
      run_loopback(
          n,
          [&](loopback_comm& comm) {
            conformance test(comm);
            now[std::size_t(comm.rank())] = test.run();
            checked[std::size_t(comm.rank())] = test.checked();
          },
          o);
      for (std::size_t r = 0; r < now.size(); ++r) {
        EXPECT_EQ(now[r], now[0]);
        EXPECT_GT(checked[r], 500);
      }
      EXPECT_TRUE(digest[0] == 0 || digest == now) << "results depend on when things happen";
      digest = now;
    }
  }
}

// ---- one order, one clock -------------------------------------------------------------------------------------------

struct trace {
  std::vector<std::string> events;
  frugal::loopback_report report;
};
trace traced(loopback_options const& o) {
  trace t;
  t.report = run_loopback(
      4,
      [&](loopback_comm& comm) {
        std::vector<double> x(1000, 1.0 + comm.rank());
        for (int k = 0; k < 20; ++k) {
          comm.compute(0.1 * (1 + (comm.rank() + k) % 3));
          t.events.push_back(std::to_string(comm.rank()) + " at " + std::to_string(comm.now()));
          auto h = comm.all_reduce_async(cpu, x, op::mean{});
          const int peer = comm.rank() ^ (1 + k % 2);
          comm.neighbour_exchange(cpu, std::vector<frugal::neighbour<double const>>{{peer, x}},
                                  std::vector<frugal::neighbour<double>>{{peer, x}});
          x[0] += h.wait()[0];
        }
        t.events.push_back(std::to_string(x[0]));
      },
      o);
  return t;
}

TEST(loopback, is_deterministic) {
  const loopback_options o{.seed = 3, .latency = 1e-3, .bandwidth = 1e6, .jitter = 0.1, .speed = {1, 2, 1, 0.5}};
  const trace a = traced(o);
  EXPECT_EQ(a.events.size(), 84u);
  for (int k = 0; k < 5; ++k) {
    const trace b = traced(o);
    EXPECT_EQ(a.events, b.events);
    EXPECT_EQ(a.report.seconds, b.report.seconds);
    EXPECT_EQ(a.report.schedule, b.report.schedule);
    EXPECT_EQ(a.report.messages, b.report.messages);
  }
  loopback_options other = o;
  other.seed = 4;
  EXPECT_NE(a.report.schedule, traced(other).report.schedule) << "the delays do not depend on the seed";
}

TEST(loopback, the_clock_adds_up) {
  // 1000 bytes at 1000 bytes a second, then the latency; the sender is free when the last byte has left.
  const auto r =
      run_loopback(3,
                   [](loopback_comm& comm) {
                     std::vector<std::uint8_t> x(1000);
                     if (comm.rank() == 0) {
                       comm.compute(5);
                       comm.send(cpu, x, 1);
                       EXPECT_EQ(comm.now(), 6);
                       comm.send(cpu, x, 2);
                       EXPECT_EQ(comm.now(), 7);
                       comm.receive(cpu, x, 2);
                       EXPECT_EQ(comm.now(), 10);  // rank 2 has its message at 7.5, waits a second, sends until 9.5
                     } else if (comm.rank() == 1) {
                       comm.receive(cpu, x, 0);
                       EXPECT_EQ(comm.now(), 6.5);
                     } else {
                       comm.receive(cpu, x, 0);
                       EXPECT_EQ(comm.now(), 7.5);
                       comm.compute(1);
                       comm.send(cpu, x, 0);
                     }
                   },
                   {.latency = 0.5, .bandwidth = 1000});
  EXPECT_EQ(r.seconds, (std::vector<double>{10, 6.5, 9.5}));
  EXPECT_EQ(r.messages, 3);
}

TEST(loopback, messages_of_a_link_follow_each_other) {
  run_loopback(2,
               [](loopback_comm& comm) {
                 std::vector<float> x(250, 1.f);
                 // 1000 bytes for an all-reduce of two: half of it there, half of it back, both ways at once.
                 comm.all_reduce(cpu, x);
                 EXPECT_EQ(comm.now(), 0.5 + 0.5 + 0.5 + 0.5);
                 // Two calls beside each other share the link: 500 and 1000 bytes each way, in whatever order.
                 auto h = comm.all_reduce_async(cpu, x);
                 using to = frugal::neighbour<float const>;
                 std::vector<float> y(250);
                 comm.neighbour_exchange(cpu, std::vector<to>{{1 - comm.rank(), x}},
                                         std::vector<frugal::neighbour<float>>{{1 - comm.rank(), y}});
                 EXPECT_EQ(comm.now(), 2 + 1 + 0.5);
                 h.wait();
                 EXPECT_EQ(comm.now(), 2 + 1 + 0.5 + 0.5 + 0.5 + 0.5);
               },
               {.latency = 0.5, .bandwidth = 1000});
}

TEST(loopback, stragglers_hold_up_those_who_wait_for_them) {
  const loopback_options o{.speed = {1, 1, 0.25, 1}};
  const auto apart = run_loopback(
      4,
      [](loopback_comm& comm) {
        comm.compute(1);
        EXPECT_EQ(comm.now(), comm.rank() == 2 ? 4 : 1);
        using to = frugal::neighbour<float const>;
        using from = frugal::neighbour<float>;
        if (comm.rank() != 0) return;
        comm.neighbour_exchange(cpu, std::vector<to>{}, std::vector<from>{});  // with nobody: takes no time
      },
      o);
  EXPECT_EQ(apart.seconds, (std::vector<double>{1, 1, 4, 1}));
  const auto together = run_loopback(
      4, [](loopback_comm& comm) { comm.compute(1), comm.barrier(cpu); }, o);
  EXPECT_EQ(together.seconds, std::vector<double>(4, 4.0));
}

TEST(loopback, delays_are_random_within_their_bound) {
  std::vector<double> times;
  run_loopback(2,
               [&](loopback_comm& comm) {
                 float x = 0;
                 for (int k = 0; k < 200; ++k) {
                   const double before = comm.now();
                   if (comm.rank() == 0) comm.send(cpu, frugal::view<float>(&x, 1), 1);
                   else comm.receive(cpu, frugal::view<float>(&x, 1), 0);
                   if (comm.rank() == 1) times.push_back(comm.now() - before);
                 }
               },
               {.latency = 1, .jitter = 0.5});
  double mean = 0;
  for (double t : times) {
    EXPECT_GE(t, 1);
    EXPECT_LT(t, 1.5);
    mean += t / 200;
  }
  EXPECT_NEAR(mean, 1.25, 0.05);
}

TEST(loopback, calls_beside_overlap_with_computing) {
  const auto r = run_loopback(2,
                              [](loopback_comm& comm) {
                                EXPECT_TRUE(comm.overlaps());
                                std::vector<float> x(10, 1.f);
                                auto h = comm.all_reduce_async(cpu, x);
                                x.assign(10, 99.f);  // the call has its own copy
                                EXPECT_FALSE(h.ready());
                                comm.compute(5);
                                EXPECT_TRUE(h.ready());
                                EXPECT_EQ(h.wait(), std::vector<float>(10, 2.f));
                                EXPECT_NEAR(comm.now(), 5, 1e-6);
                                EXPECT_THROW(h.wait(), frugal::invalid_argument);
                                auto late = comm.all_reduce_async(cpu, x);
                                comm.compute(1);
                                late.wait();
                                EXPECT_NEAR(comm.now(), 9, 1e-6);
                                auto wrong = comm.all_reduce_async(cpu, x);
                                EXPECT_THROW(wrong.wait(cpu, std::vector<float>(11)), frugal::invalid_argument);
                              },
                              {.latency = 2});
  EXPECT_NEAR(r.seconds[0], 13, 1e-6);
}

// ---- what goes wrong ------------------------------------------------------------------------------------------------

TEST(loopback, a_deadlock_says_who_waits_for_what) {
  const auto text = error_of(3, [](loopback_comm& comm) {
    std::vector<float> x(5);
    if (comm.rank() == 0) comm.receive(cpu, x, 1, 3);
    if (comm.rank() == 1) comm.send(cpu, x, 0, 4);
  });
  EXPECT_CONTAINS(text, "rank 0 waits to receive send with tag 3 of 5 float (20 bytes) from rank 1");
  EXPECT_CONTAINS(text, "rank 1 waits to send send with tag 4 of 5 float (20 bytes) to rank 0");
  const auto absent = error_of(3, [](loopback_comm& comm) {
    if (comm.rank() != 2) comm.barrier(cpu);
  });
  EXPECT_CONTAINS(absent, "rank 2, which has returned");
  // Two that both send first.
  EXPECT_CONTAINS(error_of(2,
                           [](loopback_comm& comm) {
                             std::vector<float> x(5);
                             comm.send(cpu, x, 1 - comm.rank());
                             comm.receive(cpu, x, 1 - comm.rank());
                           }),
                  "deadlock");
  const auto beside = error_of(2, [](loopback_comm& comm) {
    std::vector<float> x(5);
    auto h = comm.all_reduce_async(cpu, x);
    if (comm.rank() == 0) h.wait();
    else comm.barrier(cpu);
  });
  EXPECT_CONTAINS(beside, "deadlock");
}

struct witness {
  int& count;
  ~witness() { ++count; }
};

TEST(loopback, a_rank_that_throws_ends_the_run) {
  int unwound = 0;
  const auto body = [&](loopback_comm& comm) {
    const witness w{unwound};
    auto h = comm.all_reduce_async(cpu, std::vector<float>(5));
    comm.compute(1);
    try {
      if (comm.rank() == 2) throw std::out_of_range("the reason");
      comm.barrier(cpu);
    } catch (comm_error const&) {
      ADD_FAILURE() << "the end of a run is no error of its ranks";
    }
    ADD_FAILURE() << "a rank went on";
  };
  EXPECT_EQ(error_of(4, body), "frugal: rank 2: the reason");
  EXPECT_EQ(unwound, 4);
  try {
    run_loopback(4, body);
  } catch (comm_error const& e) {
    EXPECT_THROW(std::rethrow_if_nested(e), std::out_of_range);
  }
  EXPECT_CONTAINS(error_of(2, [](loopback_comm&) { throw 5; }), "rank 0");
  const auto second = [](loopback_comm& comm) {
    if (comm.rank() == 1) throw std::runtime_error("the first");
    try {
      comm.barrier(cpu);
    } catch (...) {
      throw std::runtime_error("a consequence");
    }
  };
  EXPECT_EQ(error_of(2, second), "frugal: rank 1: the first");
  EXPECT_EQ(error_of(2, [](loopback_comm& comm) { comm.rank() == 1 ? comm.abort("enough") : comm.barrier(cpu); }),
            "frugal: rank 1: enough");
}

TEST(loopback, ranks_that_disagree_get_an_error) {
  const auto counts = error_of(3, [](loopback_comm& comm) {
    comm.barrier(cpu);
    comm.all_reduce(cpu, std::vector<float>(comm.rank() == 1 ? 99 : 100));
  });
  EXPECT_EQ(
      counts,
      "frugal: rank 0: the ranks disagree: rank 0 expected all_reduce (sum) number 1 of 100 float (132 bytes), got "
      "all_reduce (sum) number 1 of 99 float (132 bytes) from rank 1");
  const auto with = [](auto const& zero, auto const& others) {
    return error_of(2, [&](loopback_comm& comm) { comm.rank() == 0 ? zero(comm) : others(comm); });
  };
  using c = loopback_comm;
  const std::vector<float> x(10);
  EXPECT_CONTAINS(with([](c& k) { k.all_reduce(cpu, std::vector<float>(10)); },
                       [](c& k) { k.all_reduce(cpu, std::vector<double>(10)); }),
                  "double");
  EXPECT_CONTAINS(with([](c& k) { k.all_reduce(cpu, std::vector<float>(10)); },
                       [](c& k) { k.all_reduce(cpu, std::vector<float>(10), op::max{}); }),
                  "(max)");
  EXPECT_CONTAINS(with([](c& k) { k.all_reduce(cpu, std::vector<float>(0)); },
                       [](c& k) { k.all_reduce(cpu, std::vector<float>(3000000)); }),
                  "disagree");
  EXPECT_CONTAINS(with([](c& k) { k.barrier(cpu); }, [](c& k) { k.all_reduce(cpu, std::vector<float>(1)); }),
                  "barrier");
  const std::vector<frugal::index_t> none(2);
  std::vector<std::uint8_t> empty;
  EXPECT_CONTAINS(with([](c& k) { k.barrier(cpu); }, [&](c& k) { k.all_to_all(cpu, empty, none, empty, none); }),
                  "all_to_all number 0 of 0 uint8 (0 bytes)");
  EXPECT_CONTAINS(with([](c& k) { k.barrier(cpu), k.barrier(cpu); },
                       [&](c& k) { k.barrier(cpu), k.all_gather(cpu, x, std::vector<float>(20)); }),
                  "barrier number 1");
  EXPECT_CONTAINS(
      with([&](c& k) { k.send(cpu, x, 1, 5); }, [](c& k) { k.receive(cpu, std::vector<float>(11), 0, 5); }),
      "rank 1 expected send with tag 5 of 11 float (44 bytes), got send with tag 5 of 10 float (40 bytes) from "
      "rank 0");
  EXPECT_CONTAINS(with([&](c& k) { k.all_reduce_async(cpu, x).wait(); },
                       [](c& k) { k.all_reduce_async(cpu, std::vector<float>(11)).wait(); }),
                  "disagree");
  EXPECT_CONTAINS(with([&](c& k) { k.all_reduce(cpu, std::vector<float>(10), op::sum{}, frugal::any_order); },
                       [](c& k) { k.all_reduce(cpu, std::vector<float>(11), op::sum{}, frugal::any_order); }),
                  "disagree");
  EXPECT_CONTAINS(with([](c& k) { k.broadcast(cpu, std::vector<float>(10), 1); },
                       [](c& k) { k.broadcast(cpu, std::vector<float>(10), 0); }),
                  "broadcast number 0 from root");
}

TEST(loopback, a_rank_fails_and_the_others_may_go_on) {
  const loopback_options o{.latency = 0.1, .failures = {{1, 2.5}}};
  int unwound = 0, went_on = 0;
  const auto body = [&](loopback_comm& comm) {
    const witness w{unwound};
    loopback_comm rest = comm.split(comm.rank() == 1);
    std::vector<float> x(3, 1.f);
    try {
      for (int k = 0; k < 10; ++k) {
        comm.compute(1);
        comm.all_reduce(cpu, x, op::mean{});
      }
      ADD_FAILURE() << "rank 1 did not fail";
    } catch (comm_error const& e) {
      EXPECT_NE(comm.rank(), 1) << "a rank that has failed does nothing";
      EXPECT_STREQ(e.what(), "frugal: rank 1 failed at 2.5 s of virtual time");
      EXPECT_EQ(rest.size(), 2);
      EXPECT_THROW(comm.send(cpu, x, 1), comm_error);
      rest.all_reduce(cpu, x);
      EXPECT_EQ(x[0], 2.f);
      ++went_on;
    }
  };
  const auto r = run_loopback(3, body, o);
  EXPECT_EQ(went_on, 2);
  EXPECT_EQ(unwound, 3);
  EXPECT_EQ(r.failed, std::vector<int>{1});
  EXPECT_EQ(r.seconds[1], 2.5);
  EXPECT_GT(r.seconds[0], 2.5);
  // Where nobody catches it, the run ends with it.
  EXPECT_CONTAINS(error_of(
                      3, [](loopback_comm& comm) { comm.compute(3), comm.barrier(cpu); }, o),
                  "rank 1 failed at 2.5");
  // Those that wait for it already are told when it fails.
  run_loopback(
      3,
      [](loopback_comm& comm) {
        std::vector<float> x(1);
        if (comm.rank() == 1) return comm.compute(9);
        EXPECT_THROW(comm.rank() == 0 ? comm.receive(cpu, x, 1) : comm.send(cpu, x, 1), comm_error);
        EXPECT_EQ(comm.now(), 2.5);
      },
      o);
  // One that waits for a message fails, too; and one that has returned does not.
  const auto waiting = run_loopback(
      3,
      [](loopback_comm& comm) {
        std::vector<float> x(1);
        if (comm.rank() == 1) comm.receive(cpu, x, 0);
        else comm.compute(9);
      },
      o);
  EXPECT_EQ(waiting.seconds, (std::vector<double>{9, 2.5, 9}));
  EXPECT_TRUE(run_loopback(
                  3, [](loopback_comm& comm) { comm.compute(2); }, o)
                  .failed.empty());
}

TEST(loopback, options_are_checked) {
  const auto nothing = [](loopback_comm&) {};
  EXPECT_THROW(run_loopback(0, nothing), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.latency = -1}), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.bandwidth = 0}), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.speed = {1}}), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.speed = {1, 0}}), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.failures = {{2, 1}}}), frugal::invalid_argument);
  EXPECT_THROW(run_loopback(2, nothing, {.failures = {{1, std::nan("")}}}), frugal::invalid_argument);
  EXPECT_CONTAINS(error_of(1, [](loopback_comm& comm) { comm.compute(-1); }), "a time to compute");
  EXPECT_CONTAINS(error_of(1, [](loopback_comm& comm) { comm.compute(INFINITY); }), "a time to compute");
}

TEST(loopback, many_ranks) {
  const auto r = run_loopback(40,
                              [](loopback_comm& comm) {
                                std::vector<std::int64_t> x(7, comm.rank());
                                for (int k = 0; k < 3; ++k) comm.all_reduce_async(cpu, x).wait(cpu, x);
                                EXPECT_EQ(x[6], std::int64_t(780) * 40 * 40);
                              },
                              {.latency = 1e-3});
  EXPECT_EQ(r.messages, 3 * 2 * 40 * 39);
}

TEST(loopback, outlives_its_run) {
  std::vector<loopback_comm> kept;
  run_loopback(2, [&](loopback_comm& comm) { kept.push_back(comm); });
  EXPECT_EQ(kept[1].size(), 2);
  EXPECT_THROW(kept[1].barrier(cpu), comm_error);
}

}  // namespace
