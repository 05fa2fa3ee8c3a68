// SPDX-License-Identifier: Apache-2.0
// Arguments of calls: memory of another place, elements of another type, numbers where memory is wanted.
#include "prelude.hpp"
using namespace frugal;
struct stateless {};

// expect HOST_TO_OPTIMIZER: copy the data to the device and pass a buffer's view()
void optimizer() {
  lion opt(gpu, 10);
#if defined(HOST_TO_OPTIMIZER)
  opt.step(x, g);
#else
  opt.step({x_there.data(), 10}, {g_there.data(), 10});
#endif
}
// expect HOST_TO_FEEDBACK: copy the data to the device and pass a buffer's view()
void feedback() {
  ef14 f(gpu, 10, top_k{.k = 2});
#if defined(HOST_TO_FEEDBACK)
  f.compress(g, 1);
#else
  f.compress(g_there, 1);
#endif
}
// expect HOST_TO_MEZO: copy the data to the device and pass a buffer's view()
void zeroth_order() {
  mezo zo(gpu, 10);
#if defined(HOST_TO_MEZO)
  zo.step(x, [] { return 1.0; });
#else
  zo.step(x_there, [] { return 1.0; });
#endif
}
// expect HOST_TO_ROAST: copy the data to the device and pass a buffer's view()
void sharing() {
  roast shared(gpu, 10, {.slots = 3});
#if defined(HOST_TO_ROAST)
  shared.forward(g_there, x);
#else
  shared.forward(g_there, x_there);
#endif
}
// expect HOST_TO_PROJECTION: copy the data to the device and pass a buffer's view()
void projection() {
  very_sparse r(gpu, 10, 3);
#if defined(HOST_TO_PROJECTION)
  r.apply(g, x_there);
#else
  r.apply(g_there, x_there);
#endif
}
// expect HOST_TO_GOSSIP: copy the data to the device and pass a buffer's view()
void mixing(loopback_comm world) {
  gossip mix(gpu, world, topology::complete(4), 10);
#if defined(HOST_TO_GOSSIP)
  mix.step(x);
#else
  mix.step(x_there);
#endif
}
// expect HOST_TO_SELECTION: copy the data to the device and pass a buffer's view()
void selection(view<std::uint32_t, emulated_backend::space> at, view<float, emulated_backend::space> values) {
  top_k_select select(gpu, 10, 3);
#if defined(HOST_TO_SELECTION)
  select(x, at, values);
#else
  select(x_there, at, values);
#endif
}
// expect HOST_TO_COLLECTIVE: copy the data to the device and pass a buffer's view()
void collective(loopback_comm world) {
#if defined(HOST_TO_COLLECTIVE)
  world.all_reduce(gpu, view<float, emulated_backend::space>(x));
#else
  world.all_reduce(gpu, x_there);
#endif
}
// expect HOST_TO_SUM: a sum is made where the elements are
void sums() {
#if defined(HOST_TO_SUM)
  sum(gpu, x);
#else
  sum(gpu, x_there), sum(cpu, x);
#endif
}
// expect DEVICE_TO_SUM: a sum is made where the elements are
void sums_of_squares() {
#if defined(DEVICE_TO_SUM)
  sum_of_squares(cpu, x_there);
#else
  sum_of_squares(gpu, x_there);
#endif
}

// expect CONST_PARAMETERS: this is written to, and what was given is const
void const_parameters() {
  lion opt(cpu, 10);
#if defined(CONST_PARAMETERS)
  opt.step(fixed, g);
#else
  opt.step(x, fixed);
#endif
}
// expect CONST_MODEL: this is written to, and what was given is const
void const_model() {
  mezo zo(cpu, 10);
#if defined(CONST_MODEL)
  zo.step(fixed, [] { return 1.0; });
#else
  zo.step(x, [] { return 1.0; });
#endif
}
// expect DOUBLES: elements of another type: name the object's, types<double>{} for instance
void doubles(std::vector<double>& y, std::vector<double> const& h) {
#if defined(DOUBLES)
  lion opt(cpu, 10);
#else
  lion opt(cpu, 10, {}, types<double>{});
#endif
  opt.step(y, h);
}
// expect NUMBER: int
void number() {
  lion opt(cpu, 10);
#if defined(NUMBER)
  opt.step(x, 0);
#else
  opt.step(x, {});
#endif
}
// expect LOSS_WITHOUT_RESULT: the loss takes nothing, or the number of the direction, and returns a number
void loss_without_result() {
  mezo zo(cpu, 10);
#if defined(LOSS_WITHOUT_RESULT)
  zo.step(x, [] {});
#else
  zo.step(x, [] { return 1; });
#endif
}
// expect LOSS_OF_A_MODEL: the loss takes nothing, or the number of the direction, and returns a number
void loss_of_a_model() {
  mezo zo(cpu, 10);
#if defined(LOSS_OF_A_MODEL)
  zo.step(x, [](std::vector<float> const&) { return 1.0; });
#else
  zo.step(x, [](int) { return 1.0; });
#endif
}
// expect CRIC_WITHOUT_LOSS: with cric a step takes the loss, too, a number or what returns one
void cric_without_loss() {
  hesso opt(momentum(cpu, 10), {}, {}, cric{});
#if defined(CRIC_WITHOUT_LOSS)
  opt.step(x, g);
#else
  opt.step(x, g, 1.0);
#endif
}
// expect CRIC_LOSS_WITHOUT_RESULT: the loss of a step with cric is a number, or what returns one and takes nothing
void cric_loss_without_result() {
  hesso opt(momentum(cpu, 10), {}, {}, cric{});
#if defined(CRIC_LOSS_WITHOUT_RESULT)
  opt.step(x, g, [] {});
#else
  opt.step(x, g, [] { return 1; });
#endif
}
// expect NO_STATE: visit_state
void saved(momentum<serial_backend>& opt, stateless& s) {
#if defined(NO_STATE)
  save_state(s);
#else
  save_state(opt);
#endif
  (void)s;
}
