// SPDX-License-Identifier: Apache-2.0
#include "support/feedback_suite.hpp"

#include "support/refusal.hpp"

namespace frugal_test {
namespace {

using frugal::index_t;
using floats = std::vector<float>;
constexpr double eta = 0.125;

floats gradient(index_t n, int t) { return numbers(n, std::uint64_t(100 + t)); }
frugal::message_stamp stamp(std::int32_t sender, int t) { return {sender, std::uint64_t(t)}; }

// ---- golden trajectories of three workers, step by step, to the bit
with compressor_of(std::string const& name) {
  return name.find("identity") != name.npos ? with::identity
         : name.find("topk") != name.npos   ? with::top_k
                                            : with::sign;
}
floats minus(floats x, float factor, floats const& d) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const volatile float step = factor * d[i];  // rounded before it is subtracted
    x[i] = x[i] - step;
  }
  return x;
}

TEST_P(feedback_suite, golden_trajectories) {
  constexpr int workers = 3;
  int cases = 0;
  for (golden_case const& c : read_golden("feedback.txt")) {
    if (!c.name.starts_with(subject().name + "_")) continue;
    ++cases;
    const auto n = c.number<index_t>("n");
    for (machine const& where : machines()) {
      SCOPED_TRACE(c.name + ", " + where.name);
      std::vector<std::unique_ptr<memory>> worker;
      for (int i = 0; i < workers; ++i) worker.push_back(make(where, n, compressor_of(c.name), i));
      floats x = c.numbers<float>("x0"), mean(x.size());
      const auto line = [&](std::string const& key, int i) {
        std::vector<std::string> words = c.words(key, std::size_t(i));
        floats v;
        for (std::size_t k = 1; k < words.size(); ++k) v.push_back(std::strtof(words[k].c_str(), nullptr));
        return v;
      };
      const auto gradient_of = [&](int i) {
        floats g = minus(x, 1, line("c", i));
        const floats a = line("a", i);
        for (std::size_t k = 0; k < g.size(); ++k) g[k] = a[k] * g[k];
        return g;
      };
      if (c.name.ends_with("_gradient")) {
        for (int i = 0; i < workers; ++i) {
          for (std::size_t k = 0; k < subject().states.size(); ++k) worker[std::size_t(i)]->set(int(k), gradient_of(i));
          mean = minus(mean, -float(1. / workers), gradient_of(i));
        }
      }
      ASSERT_GE(c.count("step"), 20u);
      for (std::size_t t = 0; t < c.count("step"); ++t) {
        const double rate = subject().estimates ? c.config("eta") : c.number<double>("eta", t);
        if (subject().estimates) x = minus(x, float(rate), mean);
        known_world world{0, {}};
        for (int i = 0; i < workers; ++i) world.from.push_back(worker[std::size_t(i)]->compress(gradient_of(i), rate));
        const floats sent = worker[0]->add_mean(world, floats(x.size()));
        x = subject().estimates ? x : minus(x, 1, sent);
        mean = minus(mean, -1, sent);
        ASSERT_TRUE(same_bits(c.numbers<float>("x32", t), x)) << "step " << t + 1;
      }
      for (int i = 0; i < workers; ++i)
        for (std::string const& s : subject().states)
          EXPECT_TRUE(same_bits(line(s + "32", i), piece<float>(worker[std::size_t(i)]->save(), s)))
              << s << " of " << i;
      EXPECT_TRUE(!subject().estimates || same_bits(c.numbers<float>("hbar32"), mean));
    }
  }
  EXPECT_GE(cases, 3);
}

// ---- equal bits
struct outcome {
  std::vector<bytes> sent;
  frugal::snapshot state;
};
outcome rounds(memory& f, index_t n, int first, int last, index_t offset = 0) {
  outcome o;
  for (int t = first; t <= last; ++t) o.sent.push_back(f.compress(gradient(n, t), eta / t, offset));
  o.state = f.save();
  return o;
}
testing::AssertionResult same_outcome(outcome const& a, outcome const& b) {
  for (std::size_t t = 0; t < a.sent.size(); ++t)
    if (const auto same = same_bits(a.sent[t], b.sent.at(t)); !same)
      return testing::AssertionFailure() << "message " << t << ": " << same.message();
  return same_bits(a.state, b.state);
}

TEST_P(feedback_suite, every_backend_gives_the_same_bits) {
  for (index_t n : {0, 1, 255, 256, 257, 4095, 4097, 100003})
    for (with c : all_compressors) {
      if (n == 0 && c == with::top_k) continue;  // takes one element at least
      const auto expected = rounds(*make(serial(), n, c), n, 1, 3);
      for (machine const& where : machines())
        EXPECT_TRUE(same_outcome(expected, rounds(*make(where, n, c), n, 1, 3)))
            << where.name << ", " << n << " elements, compressor " << int(c);
    }
}

TEST_P(feedback_suite, alignment_does_not_matter) {
  for (machine const& where : {serial(), emulated()})
    for (with c : all_compressors) {
      const auto expected = rounds(*make(serial(), 1003, c), 1003, 1, 3);
      for (index_t offset = 1; offset < (where.lanes > 0 ? 5 : 16); ++offset)
        EXPECT_TRUE(same_outcome(expected, rounds(*make(where, 1003, c), 1003, 1, 3, offset))) << offset;
    }
}

// ---- the object
TEST_P(feedback_suite, save_and_restore_in_the_middle) {
  for (machine const& where : {serial(), emulated()})
    for (with c : all_compressors) {
      const auto f = make(where, 300, c), other = make(serial(), 300, c);
      rounds(*f, 300, 1, 4);
      const auto saved = f->save();
      EXPECT_EQ(piece<std::int64_t>(saved, "round"), std::vector<std::int64_t>{4});
      for (std::string const& s : subject().states) EXPECT_EQ(piece<float>(saved, s).size(), 300u) << s;
      EXPECT_EQ(saved.pieces.size(), 1 + subject().states.size());
      EXPECT_EQ(f->state_bytes(), 1200 * subject().states.size());
      const auto expected = rounds(*f, 300, 5, 8);
      other->restore(saved);
      EXPECT_TRUE(same_outcome(expected, rounds(*other, 300, 5, 8)));
      f->restore(saved);
      f->move_object();
      EXPECT_TRUE(same_outcome(expected, rounds(*f, 300, 5, 8)));
    }
}

TEST_P(feedback_suite, foreign_states_are_refused) {
  const auto f = make(serial(), 300);
  rounds(*f, 300, 1, 4);
  const auto mine = f->save();
  const auto rejects = [&](frugal::snapshot const& s, std::string const& about) {
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { f->restore(s); }, {about}));
    EXPECT_TRUE(same_bits(mine, f->save()));
  };
  rejects(make(serial(), 300, with::sign)->save(), "algorithm");
  rejects(make(serial(), 301)->save(), "layout");
  rejects(make(serial(), 300, with::top_k, 1)->save(), "layout");  // of another sender
  frugal::snapshot shorter = mine;
  shorter.pieces.back().bytes.pop_back();
  rejects(shorter, "bytes of");
}

TEST_P(feedback_suite, reset_is_a_new_beginning) {
  for (machine const& where : {serial(), emulated()}) {
    const auto f = make(where, 300), fresh = make(where, 300);
    rounds(*f, 300, 1, 4);
    EXPECT_EQ(f->round(), 4);
    f->reset();
    EXPECT_EQ(f->round(), 0);
    EXPECT_TRUE(same_outcome(rounds(*fresh, 300, 1, 4), rounds(*f, 300, 1, 4)));
  }
}

TEST_P(feedback_suite, compressing_does_not_allocate) {
  for (with c : all_compressors) {
    const auto f = make(serial(), 70001, c);
    for (int t = 1; t <= 3; ++t) {
      f->compress(gradient(70001, t), eta);
      EXPECT_EQ(f->allocated(), 0) << t;
    }
  }
  EXPECT_GT(allocations, 100) << "allocations are not counted";
}

TEST_P(feedback_suite, bad_arguments_are_refused) {
  const auto f = make(serial(), 30);
  rounds(*f, 30, 1, 2);
  const auto before = f->save();
  EXPECT_TRUE(refused([&] { f->compress(floats(29), eta); }, "a gradient to be compressed", "30", "29"));
  EXPECT_TRUE(refused([&] { f->compress({}, eta); }, "a gradient to be compressed", "30", "0"));
  EXPECT_TRUE(refused([&] { make(serial(), 30, with::top_k, -1); }, "a sender", ">= 0", "-1"));
  EXPECT_TRUE(same_bits(before, f->save()));
}

// ---- messages of several ranks
TEST_P(feedback_suite, messages_carry_sender_and_round) {
  const auto f = make(serial(), 30, with::top_k, 5);
  std::vector<bytes> sent;
  for (int t = 0; t < 3; ++t) sent.push_back(f->compress(gradient(30, t), eta));
  for (int t = 0; t < 3; ++t) {
    EXPECT_NO_THROW(f->add_to(floats(30), sent[std::size_t(t)], 1, stamp(5, t)));
    EXPECT_TRUE(refused([&] { f->add_to(floats(30), sent[std::size_t(t)], 1, stamp(5, 3)); }, "the round of a message",
                        "3", std::to_string(t)));
    EXPECT_TRUE(refused([&] { f->add_to(floats(30), sent[std::size_t(t)], 1, stamp(4, t)); }, "the sender of a message",
                        "4", "5"));
  }
}

TEST_P(feedback_suite, the_mean_is_added_in_the_order_of_the_ranks) {
  for (machine const& where : {serial(), emulated()})
    for (with c : all_compressors) {
      std::vector<std::unique_ptr<memory>> worker;
      known_world world{0, {}};
      for (int i = 0; i < 3; ++i) {
        worker.push_back(make(where, 500, c, i));
        world.from.push_back(worker.back()->compress(gradient(500, i), eta));
      }
      const floats x = numbers(500, 3);
      floats want = x;
      for (int i = 0; i < 3; ++i) want = worker[0]->add_to(want, world.from[std::size_t(i)], -0.7 / 3, stamp(i, 0));
      for (int i = 0; i < 3; ++i) {
        world.me = i;
        EXPECT_TRUE(same_bits(want, worker[std::size_t(i)]->add_mean(world, x, -0.7))) << i;
      }
    }
}

TEST_P(feedback_suite, nothing_is_added_where_one_message_is_wrong) {
  for (machine const& where : {serial(), emulated()}) {
    const auto a = make(where, 500, with::top_k, 0), b = make(where, 500, with::top_k, 1);
    const floats x = numbers(500, 3);
    known_world early{0, {{}, {}}};
    EXPECT_TRUE(refused([&] { a->add_mean(early, x); }, "the messages of a round", "compress() before", "none"));
    const bytes old = b->compress(gradient(500, 0), eta);
    a->compress(gradient(500, 0), eta);
    const bytes mine = a->compress(gradient(500, 1), eta), its = b->compress(gradient(500, 1), eta);
    const auto gets = [&](std::vector<bytes> const& from, int me = 0) {
      return [&a, &x, world = known_world{me, from}] { a->add_mean(world, x); };
    };
    EXPECT_NO_THROW(gets({mine, its})());
    EXPECT_TRUE(refused(gets({mine, old}), "the round of a message", "1", "0"));    // replayed
    EXPECT_TRUE(refused(gets({mine, mine}), "the sender of a message", "1", "0"));  // another rank's
    EXPECT_TRUE(refused(gets({its, mine}), "the sender of a message", "0", "1"));   // in the wrong order
    EXPECT_TRUE(refused(gets({mine, {}}), "the size of a message", std::to_string(mine.size()), "0"));  // lost
    bytes altered = its;
    altered[70] ^= 4;
    EXPECT_TRUE(throws<frugal::invalid_argument>(gets({mine, altered}), {"the checksum of a message"}));
    EXPECT_TRUE(refused(gets({its, mine}, 1), "the sender of an error feedback", "1", "0"));
  }
}

}  // namespace
}  // namespace frugal_test
