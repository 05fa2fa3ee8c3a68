// SPDX-License-Identifier: Apache-2.0
// Our optimizers under torch's interface: the paths of torch's own, the bits of ours, and everything that torch lets
// users do to parameters between two steps.
#include <frugal/interop/torch.hpp>

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>
#include <torch/optim/schedulers/step_lr.h>
#include <torch/optim/sgd.h>
#include <torch/serialize.h>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adafactor.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lamb.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/muon.hpp>
#include <frugal/optim/soap.hpp>

#include <sstream>

#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::adamw_config, frugal::for_torch, frugal::torch_group;
using torch::optim::OptimizerParamGroup;
using tensors = std::vector<at::Tensor>;
const frugal::serial_backend cpu;

// Two layers and a fixed regression.
struct network : torch::nn::Module {
  at::Tensor w1, b1, w2, b2;
  explicit network(at::ScalarType type = at::kFloat) {
    torch::manual_seed(1);
    const auto fresh = [&](std::vector<std::int64_t> shape) { return (0.3 * torch::randn(shape)).to(type); };
    w1 = register_parameter("w1", fresh({24, 16}));
    b1 = register_parameter("b1", fresh({24}));
    w2 = register_parameter("w2", fresh({5, 24}));
    b2 = register_parameter("b2", fresh({5}));
  }
  at::Tensor loss() const {
    torch::manual_seed(2);
    const at::ScalarType type = w1.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto layer = [&](at::Tensor const& x, at::Tensor const& w, at::Tensor const& b) {
      return at::linear(x, w.to(type), b.to(type));
    };
    const at::Tensor x = torch::randn({40, 16}, type), y = torch::randn({40, 5}, type);
    return (layer(at::tanh(layer(x, w1, b1)), w2, b2) - y).pow(2).mean();
  }
  void backward(torch::optim::Optimizer& opt) {
    opt.zero_grad();
    loss().backward();
  }
  at::Tensor all() const {
    tensors flat;
    for (at::Tensor const& p : parameters()) flat.push_back(p.detach().reshape({-1}));
    return at::cat(flat).clone();
  }
};
void train(network& net, torch::optim::Optimizer& opt, int steps) {
  for (int t = 0; t < steps; ++t) {
    net.backward(opt);
    opt.step();
  }
}
double distance(at::Tensor const& a, at::Tensor const& b) { return (a - b).abs().max().item<double>(); }

// Steps of two optimizers from one start: how far apart they end, and how far they went.
template <class Ours, class Theirs>
void expect_one_path(Ours const& ours, Theirs const& theirs, double apart) {
  network a, b;
  const at::Tensor start = a.all();
  auto x = ours(a);
  auto y = theirs(b);
  for (int t = 0; t < 60; ++t) train(a, x, 1), train(b, y, 1);
  EXPECT_LE(distance(a.all(), b.all()), apart);
  EXPECT_GT(distance(a.all(), start), 1e-2);
  EXPECT_LT(a.loss().item<double>(), 0.9 * network().loss().item<double>());
}

TEST(torch, adamw_goes_where_theirs_goes) {
  expect_one_path(
      [](network& n) { return for_torch<frugal::adamw>(cpu, n.parameters(), {.lr = 5e-3, .weight_decay = 0.1}); },
      [](network& n) {
        return torch::optim::AdamW(n.parameters(), torch::optim::AdamWOptions(5e-3).weight_decay(0.1));
      },
      2e-6);
}
TEST(torch, momentum_goes_where_theirs_goes) {
  expect_one_path(
      [](network& n) {
        return for_torch<frugal::momentum>(cpu, n.parameters(), {.lr = 0.02, .weight_decay = 1e-3, .nesterov = true});
      },
      [](network& n) {
        return torch::optim::SGD(n.parameters(),
                                 torch::optim::SGDOptions(0.02).momentum(0.9).weight_decay(1e-3).nesterov(true));
      },
      2e-6);
}

// Groups with a rate and a decay of their own, a schedule, a group that comes later.
TEST(torch, groups_and_schedules) {
  network a, b;
  std::vector<OptimizerParamGroup> mine{{{a.w1, a.w2}},
                                        torch_group({a.b1}, adamw_config{.lr = 2e-2, .weight_decay = 0})};
  std::vector<OptimizerParamGroup> theirs{
      {{b.w1, b.w2}},
      {{b.b1}, std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(2e-2).weight_decay(0))}};
  auto x = for_torch<frugal::adamw>(cpu, mine, {.lr = 5e-3});
  torch::optim::AdamW y(theirs, torch::optim::AdamWOptions(5e-3));
  torch::optim::StepLR slower_x(x, 5, 0.7), slower_y(y, 5, 0.7);
  for (int t = 0; t < 40; ++t) {
    if (t == 10) x.add_param_group({{a.b2}}), y.add_param_group({{b.b2}});
    train(a, x, 1), train(b, y, 1);
    slower_x.step(), slower_y.step();
  }
  EXPECT_LE(distance(a.all(), b.all()), 2e-6);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(x.config(k).lr, y.param_groups()[k].options().get_lr());
  EXPECT_LT(x.config(1).lr, 2e-3);
  EXPECT_EQ(x.config(2).weight_decay, 1e-2);
}

// The bits are those of the optimizer by itself on a layout of the tensors, of all or of those with as many axes, and
// nothing was copied.
template <class Config, class Make>
void expect_bits_of(at::ScalarType type, Config const& c, Make const& make, int axes = 1) {
  network a(type), b(type);
  const auto of = [&](network const& n) {
    tensors all = n.parameters();
    std::erase_if(all, [&](at::Tensor const& p) { return p.dim() < axes; });
    return all;
  };
  std::vector<frugal::tensor_spec> specs;
  for (at::Tensor const& p : of(b)) specs.push_back({std::to_string(specs.size()), p.sizes().vec()});
  auto driven = frugal::torch_optimizer(of(a), c, make);
  auto alone = make(frugal::layout(specs), c);
  using P = typename frugal::detail::element_types_of<decltype(alone)>::type::param;
  void const* const before = a.w1.data_ptr();
  for (int t = 0; t < 12; ++t) {
    train(a, driven, 1);
    b.backward(driven);
    b.zero_grad();
    b.loss().backward();
    std::vector<frugal::view<P>> x;
    std::vector<frugal::view<P const>> g;
    for (at::Tensor const& p : of(b)) {
      x.push_back({static_cast<P*>(p.data_ptr()), p.numel()});
      g.push_back({static_cast<P const*>(p.grad().data_ptr()), p.numel()});
    }
    alone.step(x, g);
  }
  EXPECT_TRUE(at::equal(a.all(), b.all())) << alone.algorithm();
  EXPECT_FALSE(at::equal(a.all(), network(type).all()));
  EXPECT_EQ(a.w1.data_ptr(), before);
  EXPECT_EQ(driven.state_bytes(), alone.state_bytes());
}
TEST(torch, bits_are_those_of_the_optimizer) {
  using frugal::types, frugal::bf16, frugal::half;
  const auto adamw = [](at::ScalarType type, auto... policies) {
    expect_bits_of(type, adamw_config{.lr = 1e-2}, [=](frugal::layout l, adamw_config const& c) {
      return frugal::adamw(cpu, std::move(l), c, policies...);
    });
  };
  adamw(at::kFloat, frugal::blockwise8{.min_size = 100});
  adamw(at::kDouble, types<double>{});
  adamw(at::kBFloat16, types<bf16>{}, frugal::stochastic{.seed = 3});
  adamw(at::kHalf, types<half>{}, frugal::float_master{});
  expect_bits_of(at::kFloat, frugal::lion_config{.lr = 1e-2}, [](frugal::layout l, frugal::lion_config const& c) {
    return frugal::lion(cpu, std::move(l), c, frugal::blockwise8{.min_size = 100});
  });
  expect_bits_of(at::kFloat, frugal::lamb_config{.lr = 1e-2},
                 [](frugal::layout l, frugal::lamb_config const& c) { return frugal::lamb(cpu, std::move(l), c); });
  expect_bits_of(
      at::kFloat, frugal::muon_config{.lr = 1e-2},
      [](frugal::layout l, frugal::muon_config const& c) { return frugal::muon(cpu, std::move(l), c); }, 2);
  expect_bits_of(at::kFloat, frugal::soap_config{.lr = 1e-2, .frequency = 3},
                 [](frugal::layout l, frugal::soap_config const& c) { return frugal::soap(cpu, std::move(l), c); });
  expect_bits_of(
      at::kFloat, frugal::adafactor_config{.lr = 1e-2},
      [](frugal::layout l, frugal::adafactor_config const& c) { return frugal::adafactor(cpu, std::move(l), c); });
}

at::Tensor leaf(at::Tensor t) { return t.detach().clone().set_requires_grad(true); }
void set_gradients(tensors const& of, double value) {
  for (at::Tensor const& t : of) t.mutable_grad() = at::full_like(t, value);
}

TEST(torch, tensors_without_gradients_are_left_alone) {
  const at::Tensor used = leaf(torch::ones({3})), late = leaf(torch::ones({2, 2})), other = leaf(torch::ones({4})),
                   never = leaf(torch::ones({5})), frozen = torch::ones({6});
  const auto copy = [](at::Tensor const& t) { return leaf(t); };
  const at::Tensor used2 = copy(used), late2 = copy(late), other2 = copy(other), never2 = copy(never);
  auto x =
      for_torch<frugal::adamw>(cpu, {OptimizerParamGroup({used, late, never, frozen}), OptimizerParamGroup({other})});
  torch::optim::AdamW y({OptimizerParamGroup({used2, late2, never2}), OptimizerParamGroup({other2})});
  x.options().clip_norm = 1e9;
  const auto step = [&](tensors const& mine, tensors const& theirs, double g) {
    set_gradients(mine, g), set_gradients(theirs, g);
    x.step(), y.step();
  };
  step({used}, {used2}, 1);
  EXPECT_EQ(x.state_bytes(), 2 * 4 * (3 + 4));  // of used, and of other, which may still come
  step({late}, {late2}, 0.5);                   // and used, whose gradient is still there
  step({other}, {other2}, -2);
  other.mutable_grad().reset(), other2.mutable_grad().reset();  // its step does not count
  step({used, late}, {used2, late2}, 0.1);
  step({used, late, other}, {used2, late2, other2}, -0.3);
  for (auto const& [mine, theirs] : {std::pair{used, used2}, {late, late2}, {other, other2}}) {
    EXPECT_LE(distance(mine, theirs), 1e-7);
    EXPECT_FALSE(at::equal(mine, at::ones_like(mine)));
  }
  EXPECT_TRUE(at::equal(never, torch::ones({5})) && at::equal(frozen, torch::ones({6})));
  EXPECT_EQ(x.options().clip_norm, 1e9);
}
TEST(torch, tensors_that_step_together) {
  const auto run = [](bool each) {
    const at::Tensor a = leaf(torch::ones({3})), b = leaf(torch::ones({2}));
    auto x = for_torch<frugal::adamw>(cpu, tensors{a, b});
    if (each) x.each_tensor();
    set_gradients({a, b}, 1);
    x.step();
    b.mutable_grad().reset();
    const at::Tensor was = a.detach().clone();
    if (!each) {
      EXPECT_TRUE(refused([&] { x.step(); }, "the gradient of tensor 1 of group 0", "one, as others have", "none"));
      EXPECT_TRUE(refused([&] { x.each_tensor(); }, "each_tensor()", "a call before the first step", "a later one"));
      EXPECT_TRUE(at::equal(a, was));
      return;
    }
    x.step();
    set_gradients({b}, -3);
    x.step();
    const at::Tensor a2 = leaf(torch::ones({3})), b2 = leaf(torch::ones({2}));
    torch::optim::AdamW y(tensors{a2, b2});
    set_gradients({a2, b2}, 1);
    y.step();
    b2.mutable_grad().reset();
    y.step();
    set_gradients({b2}, -3);
    y.step();
    EXPECT_LE(distance(a, a2), 1e-7);
    EXPECT_LE(distance(b, b2), 1e-7);
    int objects = 0;
    std::int64_t steps = 0;
    x.for_each([&](auto& object, auto const& views) {
      ++objects;
      steps += object.report().steps;
      EXPECT_EQ(views.size(), 1u);
    });
    EXPECT_EQ(objects, 2);
    EXPECT_EQ(steps, 3 + 2);
  };
  run(false);
  run(true);
}

// Random numbers belong to places, of which no two tensors have one in common.
TEST(torch, no_two_tensors_are_rounded_alike) {
  const auto tensor = [] { return leaf(torch::ones({300}, at::kBFloat16)); };
  const tensors x{tensor(), tensor(), tensor(), tensor()};
  const auto run = [&](bool each) {
    auto opt = for_torch<frugal::adamw>(cpu, {OptimizerParamGroup({x[0], x[1]}), OptimizerParamGroup({x[2], x[3]})},
                                        {.lr = 1e-3}, frugal::types<frugal::bf16>{}, frugal::stochastic{.seed = 3});
    if (each) opt.each_tensor();
    set_gradients(x, 1);
    for (int t = 0; t < 3; ++t) opt.step();
  };
  for (bool each : {false, true}) {
    for (at::Tensor const& t : x) t.set_data(torch::ones({300}, at::kBFloat16));
    run(each);
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(at::equal(x[i], x[j])) << i << " and " << j;
  }
}

// Saved in mid-run, after a schedule and a late tensor, and taken up by a fresh object: to the bit.
template <class Make>
void expect_to_go_on(Make const& make) {
  const auto step = [](network& net, torch::optim::Optimizer& opt, int t) {
    net.backward(opt);
    if (t == 0) net.b2.mutable_grad().reset();
    opt.step();
  };
  network a;
  auto first = make(a);
  torch::optim::StepLR slower(first, 2, 0.5);
  for (int t = 0; t < 6; ++t) step(a, first, t), slower.step();
  std::stringstream saved, same;
  torch::save(first, saved);
  const at::Tensor then = a.all();
  network b;
  auto second = make(b);
  train(b, second, 2);  // of another state
  torch::load(second, saved);
  torch::save(second, same);
  EXPECT_EQ(saved.str(), same.str());
  for (network* n : {&a, &b}) {
    at::NoGradGuard off;
    std::int64_t at = 0;
    for (at::Tensor& p : n->parameters()) {
      p.copy_(then.slice(0, at, at + p.numel()).view_as(p));
      at += p.numel();
    }
  }
  for (int t = 6; t < 10; ++t) step(a, first, t), step(b, second, t);
  EXPECT_TRUE(at::equal(a.all(), b.all()));
  EXPECT_FALSE(at::equal(a.all(), then));
  EXPECT_EQ(first.config().lr, second.config().lr);
}
TEST(torch, a_load_goes_on_where_the_save_was) {
  expect_to_go_on([](network& n) {
    return for_torch<frugal::adamw>(cpu, {OptimizerParamGroup({n.w1, n.b2}), OptimizerParamGroup({n.b1, n.w2})},
                                    {.lr = 1e-2}, frugal::blockwise8{.min_size = 100});
  });
  expect_to_go_on(
      [](network& n) { return for_torch<frugal::soap>(cpu, n.parameters(), {.lr = 1e-2, .frequency = 2}); });
}
TEST(torch, archives_of_others_are_refused) {
  network n;
  auto opt = for_torch<frugal::adamw>(cpu, n.parameters());
  train(n, opt, 2);
  std::stringstream before;
  torch::save(opt, before);
  const auto saved = [&](auto&& other, tensors const& of) {
    set_gradients(of, 1);
    other.step();
    auto s = std::make_shared<std::stringstream>();
    torch::save(other, *s);
    return s;
  };
  const tensors fewer{n.w1, n.b1}, turned{n.b1, n.w1, n.w2, n.b2};
  const auto refuses = [&](std::shared_ptr<std::stringstream> s, char const* about, char const* expected,
                           char const* got) {
    EXPECT_TRUE(refused([&] { torch::load(opt, *s); }, about, expected, got));
  };
  refuses(saved(torch::optim::AdamW(n.parameters()), n.parameters()), "an archive of torch",
          "'frugal.format', as torch_optimizer writes it", "none");
  refuses(saved(for_torch<frugal::momentum>(cpu, n.parameters()), n.parameters()),
          "a saved state's algorithm and storage", "adamw/full", "momentum/full");
  refuses(saved(for_torch<frugal::adamw>(cpu, fewer), fewer), "tensors of group 0 in an archive", "4", "2");
  refuses(saved(for_torch<frugal::adamw>(cpu, turned), turned), "a saved state's layout",
          "the tensors and support of this object", "others");
  refuses(saved(for_torch<frugal::adamw>(cpu, {OptimizerParamGroup(fewer), OptimizerParamGroup({n.w2, n.b2})}),
                n.parameters()),
          "parameter groups in an archive", "1", "2");
  std::stringstream after;
  torch::save(opt, after);
  EXPECT_EQ(before.str(), after.str());
}

// A role that would be one of ours after its upper half is cut off, and others.
TEST(torch, a_role_of_no_state_is_refused) {
  const auto read = [](std::int64_t role) {
    torch::serialize::OutputArchive to;
    torch::serialize::OutputArchive piece(to.compilation_unit());
    to.write("algorithm", c10::IValue("adamw/full"));
    to.write("layout", c10::IValue(std::int64_t(1)));
    to.write("pieces", c10::IValue(std::int64_t(1)));
    piece.write("name", c10::IValue("m"));
    piece.write("role", c10::IValue(role));
    piece.write("type", c10::IValue("float"));
    piece.write("count", c10::IValue(std::int64_t(0)));
    piece.write("bytes", at::empty({0}, at::kByte));
    to.write("piece0", piece);
    std::stringstream s;
    to.save_to(s);
    torch::serialize::InputArchive from;
    from.load_from(s);
    return frugal::detail::read_snapshot(from).pieces[0].role;
  };
  EXPECT_EQ(read(4), frugal::role::scales);
  for (std::int64_t role : {std::int64_t(5), std::int64_t(1) << 32, (std::int64_t(1) << 32) + 2})
    EXPECT_TRUE(refused([&] { read(role); }, "'role' in an archive", "0 to 4", std::to_string(role).c_str()));
  EXPECT_TRUE(refused([&] { read(-1); }, "'role' in an archive", "a count", "-1"));
}

// What is done to a parameter between steps: followed, or refused before anything changes.
TEST(torch, parameters_move_and_gradients_are_of_any_shape_in_memory) {
  network a, b;
  auto x = for_torch<frugal::adamw>(cpu, a.parameters(), {.lr = 1e-2});
  auto y = for_torch<frugal::adamw>(cpu, b.parameters(), {.lr = 1e-2});
  for (int t = 0; t < 6; ++t) {
    a.backward(x), b.backward(y);
    if (t == 3) a.w1.set_data(a.w1.detach().clone());
    if (t == 4) a.w2.mutable_grad() = at::empty_strided({5, 24}, {1, 5}).copy_(a.w2.grad());
    if (t == 5) a.w1.mutable_grad() = at::_neg_view(-a.w1.grad());
    x.step(), y.step();
  }
  EXPECT_TRUE(at::equal(a.all(), b.all()));
}
TEST(torch, what_does_not_fit_is_refused) {
  network n;
  const at::Tensor good = leaf(torch::ones({2, 3})), more = leaf(torch::ones({4}));
  auto x = for_torch<frugal::adamw>(cpu, {OptimizerParamGroup({more}), OptimizerParamGroup({good})});
  set_gradients({good, more}, 1);
  x.step();
  const at::Tensor keep = good.detach().clone(), grad = good.grad().clone();
  const auto refuses = [&](char const* about, char const* expected, char const* got) {
    const at::Tensor was = good.data_ptr() ? good.detach().to(at::kFloat).clone() : at::Tensor(),
                     other = more.detach().clone();
    EXPECT_TRUE(refused([&] { x.step(); }, about, expected, got));
    EXPECT_TRUE(at::equal(more, other));
    EXPECT_TRUE(!was.defined() || at::equal(good.detach().to(at::kFloat), was));
    good.mutable_grad().reset();
    good.set_data(keep.clone());
    good.mutable_grad() = grad.clone();
    x.config(1) = {};
  };
  const auto with_data = [&](at::Tensor const& data) {
    good.mutable_grad().reset();
    good.set_data(data);
    good.mutable_grad() = at::ones_like(data);
  };
  const char* const what = "tensor 0 of group 1";
  with_data(torch::ones({2, 3}, at::kDouble));
  refuses(what, "Float, the optimizer's types<>", "Double");
  with_data(torch::ones({3, 2}));
  refuses(what, "[2, 3]", "[3, 2]");
  with_data(torch::ones({3, 2}).t());
  refuses(what, "contiguous elements", "strides [1, 2]");
  with_data(at::_neg_view(torch::ones({2, 3})));
  refuses(what, "elements as they are in memory", "a view of negated ones");
  good.mutable_grad() = torch::ones({2, 3}).to_sparse();
  refuses("the gradient of tensor 0 of group 1", "a dense tensor", "Sparse");
  good.mutable_grad() = good.detach();
  refuses("parameters and gradients", "memory of their own each", "an overlap");
  good.set_data(more.detach().new_empty({0}).set_(more.detach().storage(), 0, {2, 3}, {0, 1}));
  refuses(what, "contiguous elements", "strides [0, 1]");
  x.config(1).lr = -1;
  refuses("lr", "[0, 1e+30]", "-1");
  const at::Tensor replaced = x.param_groups()[1].params()[0];
  x.param_groups()[1].params()[0] = leaf(torch::ones({2, 3}));
  refuses(what, "the tensor that was there at first", "another");
  x.param_groups()[1].params()[0] = replaced;
  const OptimizerParamGroup last = x.param_groups()[1];
  x.param_groups().pop_back();
  EXPECT_TRUE(refused([&] { x.step(); }, "parameter groups", "those that were there at first", "fewer"));
  x.param_groups().push_back(last);

  const auto refuses_group = [&](OptimizerParamGroup const& g, char const* about, char const* expected,
                                 char const* got) {
    EXPECT_TRUE(refused([&] { x.add_param_group(g); }, about, expected, got));
    EXPECT_EQ(x.param_groups().size(), 2u);
  };
  refuses_group({{leaf(torch::ones({3}, at::kHalf))}}, "tensor 0 of group 2", "Float, the optimizer's types<>", "Half");
  refuses_group({{torch::ones({3}, at::device(at::kMeta)).set_requires_grad(true)}}, "tensor 0 of group 2",
                "a tensor in host memory", "meta");
  refuses_group({{leaf(torch::ones({2, 2}).to_sparse())}}, "tensor 0 of group 2", "a dense tensor", "Sparse");
  refuses_group({{leaf(torch::ones({3}))}, std::make_unique<torch::optim::AdamWOptions>()},
                "the options of a parameter group", "torch_options<> of the optimizer's configuration", "others");
  refuses_group(torch_group({leaf(torch::ones({3}))}, adamw_config{.beta1 = 1}), "beta1", "[0, 1)", "1");
  EXPECT_TRUE(refused([&] { x.config(2); }, "a parameter group", "below 2", "2"));
  x.step();
  EXPECT_FALSE(at::equal(good, keep));
}

TEST(torch, a_graph_that_needs_the_old_values_is_refused) {
  const at::Tensor w = leaf(torch::ones({3}));
  auto opt = for_torch<frugal::adamw>(cpu, tensors{w});
  const at::Tensor loss = (w * w).sum();
  loss.backward({}, true);
  opt.step();
  EXPECT_THROW(loss.backward(), c10::Error);
}
TEST(torch, a_closure_is_called_with_gradients) {
  network n;
  auto opt = for_torch<frugal::adamw>(cpu, n.parameters());
  const at::NoGradGuard off;
  const double before = n.loss().item<double>();
  const at::Tensor loss = opt.step([&] {
    opt.zero_grad();
    at::Tensor l = n.loss();
    l.backward();
    return l;
  });
  EXPECT_EQ(loss.item<double>(), before);
  EXPECT_LT(n.loss().item<double>(), before);
}

}  // namespace
