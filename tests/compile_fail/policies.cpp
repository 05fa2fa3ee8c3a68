// SPDX-License-Identifier: Apache-2.0
// Arguments of constructors.
#include "prelude.hpp"
using namespace frugal;

// expect BF16_OF_DOUBLE: bf16 states are for float, bf16 and half parameters
#if defined(BF16_OF_DOUBLE)
adam a(cpu, 10, {}, bf16_state{}, types<double>{});
#else
adam a(cpu, 10, {}, bf16_state{}, types<float>{});
#endif

// expect EIGHT_BITS_OF_DOUBLE: 8-bit states are for float, bf16 and half parameters
#if defined(EIGHT_BITS_OF_DOUBLE)
adamw b(cpu, 10, {}, blockwise8{}, types<double>{});
#else
adamw b(cpu, 10, {}, blockwise8{}, types<bf16>{});
#endif

// expect PARAMETERS: parameters are float, double
#if defined(PARAMETERS)
lion c(cpu, 10, {}, types<int>{});
#else
lion c(cpu, 10, {}, types<double>{});
#endif

// expect TWO_STORAGES: at most one of each
#if defined(TWO_STORAGES)
adamw d(cpu, 10, {}, blockwise8{}, bf16_state{});
#else
adamw d(cpu, 10, {}, blockwise8{}, range{2, 5});
#endif

// expect NO_POLICY: a policy is a storage (full, bf16_state, blockwise8), a support
#if defined(NO_POLICY)
lion e(cpu, 10, {}, 8);
#else
lion e(cpu, 10, {}, blockwise8{});
#endif

// expect NOT_OF_THE_TYPE: and that of the object's type
#if defined(NOT_OF_THE_TYPE)
lion<serial_backend> f(cpu, 10, {}, blockwise8{});
#else
lion<serial_backend, blockwise8> f(cpu, 10, {}, blockwise8{});
#endif

// expect POLICY_FIRST: lion_config
#if defined(POLICY_FIRST)
lion h(cpu, 10, blockwise8{});
#else
lion h(cpu, 10, {}, blockwise8{});
#endif

// expect NO_SUCH_FIELD: rate
#if defined(NO_SUCH_FIELD)
lion_config i{.rate = 1e-3};
#else
lion_config i{.lr = 1e-3};
#endif

// expect NO_BACKEND: memory_backend
struct no_backend {};
#if defined(NO_BACKEND)
momentum<no_backend> j(no_backend{}, 10);
#else
momentum<serial_backend> j(cpu, 10);
#endif

// expect NO_POLICY_OF_MEZO: a policy of mezo is a direction (gaussian, rademacher, spherical), types<>, a range, or
#if defined(NO_POLICY_OF_MEZO)
mezo k(cpu, 10, {}, blockwise8{});
#else
mezo k(cpu, 10, {}, rademacher{});
#endif

// expect TWO_DIRECTIONS: at most one of each
#if defined(TWO_DIRECTIONS)
mezo l(cpu, 10, {}, rademacher{}, gaussian{});
#else
mezo l(cpu, 10, {}, gaussian{}, restored_from_copy{});
#endif

// expect DIRECTIONS_OF_A_LIST: directions are for all coordinates, or for a range of them
#if defined(DIRECTIONS_OF_A_LIST)
mezo m(cpu, 10, {}, indices{{1, 2}});
#else
mezo m(cpu, 10, {}, range{1, 2});
#endif

// expect STORAGE_OF_ROAST: those are of the optimizer of its slots
#if defined(STORAGE_OF_ROAST)
roast n(cpu, 10, {.slots = 3}, blockwise8{});
#else
roast n(cpu, 10, {.slots = 3}, types<double>{});
#endif

// expect ROAST_WITHOUT_CONFIG: roast_config
#if defined(ROAST_WITHOUT_CONFIG)
roast o(cpu, 10);
#else
roast o(cpu, 10, {.slots = 3});
#endif

// expect NO_COMPRESSOR: a compressor is identity{}, top_k{.k = 10}, rand_k{.k = 10}, scaled_sign{} or one like them
#if defined(NO_COMPRESSOR)
ef14 p(cpu, 10, lion_config{});
#else
ef14 p(cpu, 10, top_k{.k = 3});
#endif

// expect FEEDBACK_WITHOUT_COMPRESSOR: deduc
#if defined(FEEDBACK_WITHOUT_COMPRESSOR)
ef21 q(cpu, 10);
#else
ef21 q(cpu, 10, scaled_sign{});
#endif

// expect INEXACT_REPLICAS: replicas need weights that come back exactly: give mezo restored_from_copy{}
void replicate(loopback_comm world) {
#if defined(INEXACT_REPLICAS)
  replicas r(mezo(cpu, 10), world);
#else
  replicas r(mezo(cpu, 10, {}, restored_from_copy{}), world);
#endif
}

// expect PRUNED_SOAP: is around an optimizer of an element rule (momentum, adamw, lion
void prune(layout const& model) {
#if defined(PRUNED_SOAP)
  hesso r(soap(cpu, model), {{{{"a"}}}}, {.sparsity = 0.5}, cric{});
#else
  hesso r(adamw(cpu, model), {{{{"a"}}}}, {.sparsity = 0.5}, cric{});
#endif
}

// expect PRUNED_AVERAGE: schedule_free_adamw is an average of others, which would not be pruned
void prune_average(layout const& model) {
#if defined(PRUNED_AVERAGE)
  hesso r(schedule_free_adamw(cpu, model), {{{{"a"}}}});
#else
  hesso r(adamw(cpu, model), {{{{"a"}}}});
#endif
}

// expect SHARDED_OTHER: states are sharded of optimizers of element rules (momentum, adamw, lamb ...), and of muon,
void shard_other(layout const& model, loopback_comm world) {
#if defined(SHARDED_OTHER)
  sharded r(sam(adamw(cpu, model, {}, shard(model, world))), world);
#else
  sam r(sharded(adamw(cpu, model, {}, shard(model, world)), world));
#endif
}

// expect SHARDED_SOAP_ALONE: sharded(soap(backend, shard_of_tensors(model, world)), model, world)
void shard_soap(layout const& model, loopback_comm world) {
#if defined(SHARDED_SOAP_ALONE)
  sharded r(soap(cpu, model), world);
#else
  sharded r(soap(cpu, shard_of_tensors(model, world)), model, world);
#endif
}

// expect SHARDED_WITH_MODEL: sharded(adamw(backend, model, {}, shard(model, world)), world)
void shard_adamw(layout const& model, loopback_comm world) {
#if defined(SHARDED_WITH_MODEL)
  sharded r(adamw(cpu, model, {}, shard(model, world)), model, world);
#else
  sharded r(adamw(cpu, model, {}, shard(model, world)), world);
#endif
}

// expect SHARDED_WITHOUT_RANGE: give it frugal::shard(layout, world)
void shard_all(layout const& model, loopback_comm world) {
#if defined(SHARDED_WITHOUT_RANGE)
  sharded r(adamw(cpu, model), world);
#else
  sharded r(adamw(cpu, model, {}, shard(model, world)), world);
#endif
}

// expect GRADIENTS_OF_MUON: of muon, soap, shampoo and adafactor the states are sharded, not the gradients
void shard_gradients(layout const& model, loopback_comm world) {
#if defined(GRADIENTS_OF_MUON)
  sharded_gradients r(muon(cpu, shard_layout(model, world)), model, world);
#else
  sharded_gradients r(adamw(cpu, shard_layout(model, world)), model, world);
#endif
}

// expect COPY: deleted
void copies() {
  lion one(cpu, 10);
#if defined(COPY)
  lion two = one;
#else
  lion two = std::move(one);
#endif
}

// expect COPY_IN: deleted
void copied_in(loopback_comm world) {
  momentum local(cpu, 10);
  gossip mixing(cpu, world, topology::complete(4), 10);
#if defined(COPY_IN)
  d_psgd r(local, std::move(mixing), {});
#else
  d_psgd r(std::move(local), std::move(mixing), {});
#endif
}

// expect ROUNDING_OF_FLOAT: are for bf16 and half parameters: add frugal::types<frugal::bf16>{}
#if defined(ROUNDING_OF_FLOAT)
adamw rounded(cpu, 10, {}, stochastic{.seed = 1});
#else
adamw rounded(cpu, 10, {}, stochastic{.seed = 1}, types<bf16>{});
#endif

// expect TWO_ROUNDINGS: at most one of each
#if defined(TWO_ROUNDINGS)
adamw rounded_twice(cpu, 10, {}, stochastic{}, float_master{}, types<bf16>{});
#else
adamw rounded_twice(cpu, 10, {}, float_master{}, types<bf16>{});
#endif

// expect STORAGE_OF_ADAFACTOR: a policy of adafactor is types<> or a rounding
#if defined(STORAGE_OF_ADAFACTOR)
adafactor factored(cpu, 10, {}, blockwise8{});
#else
adafactor factored(cpu, 10, {}, stochastic{.seed = 1}, types<bf16>{});
#endif
