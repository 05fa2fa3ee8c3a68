// SPDX-License-Identifier: Apache-2.0
// The table of docs/contracts.md: what can be copied, what can only be moved, and what moves leave behind.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/frugal.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/linalg/linalg.hpp>

#include "decentralized/ranks.hpp"
#include "support/bits.hpp"

namespace {
using namespace frugal;
using frugal_test::numbers;

template <class... T>
constexpr bool move = ((std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>)&&...);
template <class... T>
constexpr bool values = move<T...> && (std::copyable<T> && ...);
template <class... T>
constexpr bool owners =
    move<T...> && !(std::is_copy_constructible_v<T> || ...) && !(std::is_copy_assignable_v<T> || ...);

using loop = loopback_transport;

// Handles: a copy is the same thing.
static_assert(values<serial_backend, tbb_backend, emulated_backend, loopback_comm, layout>);
static_assert(values<view<float>, view<float const>, tensor_list<float>, random_stream, permutation>);
// Values: a copy is another thing that is equal.
static_assert(values<tensor_spec, group, tensor, topology, mixing_matrix, mixing_schedule>);
static_assert(values<message, snapshot, update_log, mezo_update, mezo_report, step_report, loopback_report>);
static_assert(values<momentum_config, adam_config, adamw_config, lion_config, ef21_sgdm_config, gossip_config>);
static_assert(values<choco_config, d_psgd_config, mezo_config, replicas_config, roast_config, very_sparse_config>);
static_assert(values<soap_config, shampoo_config, muon_config, mkor_config, kfac_config, fall_back_config>);
static_assert(values<nadamw_config, adagrad_config, rmsprop_config, lamb_config, lars_config, adamr_config>);
static_assert(values<adafactor_config, schedule_free_adamw_config, sam_config, hesso_config, saliency, cric>);
static_assert(values<zero_one_adam_config, linear_layers, group_set, extracted<float>>);
static_assert(values<nearest, stochastic, float_master>);
static_assert(
    values<full, bf16_state, blockwise8, blockwise8_2048, all, range, mask, indices, step_options<host_space>>);
static_assert(values<identity, top_k, rand_k, scaled_sign, rademacher, gaussian, spherical>);
static_assert(values<checkpoint>);  // a list of references
static_assert((std::is_copy_constructible_v<invalid_argument> && std::is_copy_constructible_v<device_error> &&
               std::is_copy_constructible_v<comm_error> && std::is_copy_constructible_v<file_error> &&
               std::is_copy_constructible_v<random_format_error>));

// Owners of a backend's memory.
template <class B>
constexpr bool all_owners = owners<buffer<float, B>, momentum<B>, adam<B>, adamw<B, blockwise8>, lion<B, bf16_state>,
                                   adamw<B, full, mask>, adamw<B, full, indices>, zero_one_adam<B>>&&
    owners<compressor<identity, B>, compressor<top_k, B>, compressor<rand_k, B>, compressor<scaled_sign, B>,
           ef14<top_k, B>, ef21<top_k, B>, ef21_sgdm<scaled_sign, B>>&&
        owners<gossip<B, loop>, choco<top_k, B, loop>, d_psgd<adamw<B>, gossip<B, loop>>,
               mezo<B, spherical, all, types<>, restored_in_place>,
               replicas<mezo<B, rademacher, all, types<>, restored_from_copy>, loop>, roast<B>, very_sparse<B>>&&
            owners<exclusive_scan<std::uint32_t, B>, ordered_select<B>, histogram<B>, pair_sort<B>, top_k_select<B>,
                   sphere<B>, counter<B>>&& owners<soap<B>, shampoo<B, types<bf16>, float_master>>&&
                owners<nadamw<B>, adagrad<B>, rmsprop<B>, lamb<B>, lars<B>, adamr<B>, adafactor<B>>&& owners<
                    muon<B>, schedule_free_adamw<B>, sam<lion<B>>, hesso<adamw<B>>, hesso<momentum<B>, cric>>&&
                    owners<mkor<B>, kfac<B>, sharded<adamw<B, full, range>, loop>, sharded_gradients<adamw<B>, loop>>&&
                        owners<thin_qr<float, B, builtin_linalg>, symmetric_eigen<float, B, builtin_linalg>,
                               cholesky<float, B, builtin_linalg>, inverse_root<float, B, builtin_linalg>>&&
                            values<linalg<B>>;
static_assert(all_owners<serial_backend>);
static_assert(all_owners<tbb_backend>);
static_assert(all_owners<emulated_backend>);

// Where the pieces of an object's state are.
template <class Object>
std::vector<void const*> addresses(Object& o) {
  std::vector<void const*> at;
  if constexpr (requires {
                  o.state_layout();
                  o.visit_state([](std::string_view, role, auto) {});
                })
    o.visit_state([&](std::string_view, role, auto v) { at.push_back(v.data()); });
  return at;
}

// make() is an object; use(object) does something with it, and returns what came out.
template <class Make, class Use>
void moves(char const* name, Make const& make, Use const& use) {
  SCOPED_TRACE(name);
  auto plain = make(), a = make();
  EXPECT_EQ(use(plain), use(a)) << "the test is not deterministic";
  const auto before = addresses(a);
  auto b = std::move(a);
  EXPECT_EQ(addresses(b), before) << "the state has moved";
  EXPECT_EQ(use(plain), use(b)) << "a moved object goes on differently";
  {
    auto c = make();
    c = std::move(b);
    EXPECT_EQ(addresses(c), before);
    EXPECT_EQ(use(plain), use(c)) << "an object that was assigned goes on differently";
    b = std::move(c);  // back into one that was moved from; then c dies
  }
  EXPECT_EQ(use(plain), use(b));
  auto& same = b;
  b = std::move(same);  // leaves it as one that was moved from
  a = make();           // both can be assigned
  b = make();
  auto fresh = make();
  const auto expected = use(fresh);
  EXPECT_EQ(use(a), expected);
  EXPECT_EQ(use(b), expected);
  auto left = std::move(b);  // and b is destroyed
}

std::vector<float> const& vector(int k) {
  static const std::vector<float> all[] = {numbers(5300, 1), numbers(5300, 2)};
  return all[k];
}
const layout model{{"a", {100, 50}}, {"b", {300}}};

template <class B>
void owners_move(B const& b) {
  const auto steps = [](auto& opt) {
    auto x = vector(0);
    opt.step(x, vector(1));
    opt.step(x, vector(1));
    return x;
  };
  moves(
      "adamw", [&] { return adamw(b, model); }, steps);
  moves(
      "lion, 8 bits", [&] { return lion(b, model, {}, blockwise8{}); }, steps);
  moves(
      "momentum, listed",
      [&] {
        return momentum(b, model, {}, indices{{3, 5, 5100}}, bf16_state{});
      },
      steps);
  moves(
      "adamr", [&] { return adamr(b, model); }, steps);
  moves(
      "adafactor", [&] { return adafactor(b, model); }, steps);
  moves(
      "schedule_free_adamw", [&] { return schedule_free_adamw(b, model); }, steps);
  const layout matrix{{"a", {100, 53}}};
  moves(
      "muon", [&] { return muon(b, matrix); }, steps);
  moves(
      "sam", [&] { return sam(momentum(b, model)); },
      [&](auto& opt) {
        auto x = vector(0), g = vector(1);
        opt.step(x, g, [] {});
        return x;
      });
  const std::vector<group_set> rows{{{{"a"}}}};
  moves(
      "hesso", [&] { return hesso(momentum(b, model), rows, {.pruning_steps = 9}); }, steps);
  moves(
      "hesso, cric", [&] { return hesso(momentum(b, model), rows, {}, cric{.sampling_steps = 2}); },
      [&](auto& opt) {
        auto x = vector(0);
        for (int t = 0; t < 3; ++t) opt.step(x, vector(1), 1.);
        return x;
      });
  const auto directions = [&](auto& curvature) {
    auto g = vector(1);
    curvature.observe(0, {vector(0).data(), 9, 53}, {vector(1).data(), 9, 100});
    curvature.precondition(g);
    return g;
  };
  moves(
      "mkor", [&] { return mkor(b, matrix, {.refresh_every = 1}); }, directions);
  moves(
      "kfac", [&] { return kfac(b, matrix, {.refresh_every = 1}); }, directions);
  const auto bytes = [](message const& m) { return std::vector<std::uint8_t>(m.data(), m.data() + m.size()); };
  moves(
      "compressor", [&] { return compressor(b, model, top_k{.ratio = 0.01}); },
      [&](auto& c) { return bytes(c.encode(vector(0))); });
  moves(
      "ef21", [&] { return ef21(b, model, scaled_sign{.block = 256}); },
      [&](auto& f) { return bytes(f.compress(vector(0))); });
  moves(
      "ef14", [&] { return ef14(b, model, top_k{.ratio = 0.01}); },
      [&](auto& f) { return bytes(f.compress(vector(0), 0.1)); });
  moves(
      "mezo", [&] { return mezo(b, model, {.lr = 1e-3, .momentum = 0.5}, spherical{}); },
      [&](auto& zo) {
        auto x = vector(0);
        zo.step(x, [&] { return sum_of_squares(b, x); });
        return x;
      });
  moves(
      "roast", [&] { return roast(b, model, {.compression = 8}); },
      [&](auto& r) {
        std::vector<float> z(std::size_t(r.slots())), dz(z.size()), w(5300);
        r.initialise(z);
        r.forward(z, w);
        r.backward(w, dz);
        return dz;
      });
  moves(
      "very_sparse", [&] { return very_sparse(b, 5300, 100, {.s = 50}); },
      [&](auto& p) {
        std::vector<float> y(100);
        p.apply(vector(0), y);
        return y;
      });
  moves(
      "top_k_select", [&] { return top_k_select(b, 5300, 100); },
      [&](auto& select) {
        std::vector<std::uint32_t> at(100);
        std::vector<float> x(100);
        select(vector(0), at, x);
        return at;
      });
  moves(
      "sphere", [&] { return sphere(b, model); }, [&](auto& s) { return double(s.scale(random_stream{1}, 2)); });
  moves(
      "buffer", [&] { return buffer(b, vector(0)); }, [&](auto& m) { return to_host(b, m.view()); });
}

TEST(copy_move, owners_move_serial) { owners_move(serial_backend{}); }
TEST(copy_move, owners_move_tbb) { owners_move(tbb_backend(2)); }

TEST(copy_move, what_ranks_make_together_moves) {
  frugal_test::on_ranks(3, [](loopback_comm& world) {
    const serial_backend b;
    const auto mix = [&](auto& m) {
      auto x = numbers(500, std::uint64_t(world.rank()));
      if constexpr (requires {
                      m.optimizer();
                      m.mixing();
                    })
        m.step(x, numbers(500, 9));
      else m.step(x);
      return x;
    };
    const auto ring = topology::ring(3);
    moves(
        "gossip", [&] { return gossip(b, world, ring, 500); }, mix);
    moves(
        "choco", [&] { return choco(b, world, ring, 500, top_k{.ratio = 0.1}, {.gamma = 0.3}); }, mix);
    moves(
        "d_psgd", [&] { return d_psgd(adamw(b, 500), gossip(b, world, ring, 500)); }, mix);
    moves(
        "sharded", [&] { return sharded(adamw(b, 500, {}, shard(500, world)), world); },
        [](auto& opt) {
          auto x = numbers(500, 1), g = numbers(500, 2);
          opt.step(x, g);
          return x;
        });
    moves(
        "replicas", [&] { return replicas(mezo(b, 500, {.lr = 1e-3}, rademacher{}, restored_from_copy{}), world); },
        [&](auto& r) {
          auto x = numbers(500, 1);
          r.step(x, [&] { return sum_of_squares(b, x); });
          return x;
        });
    return 0;
  });
}

// A copy of a value is another value; a copy of a handle is the same thing.
TEST(copy_move, copies) {
  serial_backend b;
  adamw opt(b, 100);
  std::vector<float> x(100, 1), g(100, 1);
  const snapshot before = save_state(opt);
  snapshot copy = before;
  copy.pieces[0].bytes[0] ^= 1;
  EXPECT_FALSE(frugal_test::same_bits(before, copy));
  layout l = model, same = l;
  EXPECT_EQ(&l.tensors(), &same.tensors());
  l = layout(3);
  EXPECT_EQ(same.size(), 5300);
  frugal_test::on_ranks(2, [](loopback_comm& world) {
    loopback_comm other = world;
    std::vector<float> y{1};
    (world.rank() == 0 ? world : other).all_reduce(serial_backend{}, y);  // one communicator
    EXPECT_EQ(y[0], 2);
    EXPECT_EQ(other.bytes_sent(), world.bytes_sent());
    return 0;
  });
}

}  // namespace
