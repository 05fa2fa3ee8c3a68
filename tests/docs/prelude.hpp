// SPDX-License-Identifier: Apache-2.0
// What the pages take for granted: names that their blocks use and do not declare.
#pragma once
#include <frugal/backend/tbb.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/frugal.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/linalg/eigen.hpp>

namespace reader {

// The machine.
extern frugal::serial_backend cpu;
extern frugal::loopback_comm &world, &comm;
extern const int rank;
void body(frugal::loopback_comm&);
void* pool_allocate(std::size_t bytes, std::size_t alignment);
void pool_free(void*, std::size_t bytes);

// The model: its tensors, one vector of all of them, or n numbers; sets of groups of it; what an experiment knows.
extern const frugal::layout model;
extern const frugal::index_t n, m;
extern std::vector<float> weights, grads, x, g, y, sum, pretrained;
extern const std::vector<frugal::group_set> units;
extern const std::vector<double> sigma;

// The data, all or those of a rank. A gradient is returned, or written, and the loss returned.
struct batch_type {};
extern const batch_type batch;
struct data_set {
  batch_type const* begin() const;
  batch_type const* end() const;
  data_set operator()(int rank) const;
};
extern const data_set batches;
std::vector<float>& gradient(batch_type const&, std::vector<float> const& at);
std::vector<float>& gradient_of(std::size_t tensor, batch_type const&, std::vector<float> const& at);
double gradient(batch_type const&, std::vector<float> const& at, std::vector<float>& to);
double evaluate(batch_type const&, std::vector<float> const& at);
double evaluate(std::vector<float> const& at);

// The same of a network that says what goes into its layers, and what comes back.
extern const frugal::mat_view<float const> activations, output_gradients;
struct passed {
  frugal::mat_view<float const> inputs(frugal::index_t layer) const, output_gradients(frugal::index_t layer) const;
};
struct network_type {
  passed gradient(batch_type const&, std::vector<float> const& at, std::vector<float>& to) const;
};
extern const network_type network;

// Training: where it is, and what it has.
extern const std::int64_t t;
extern const std::uint64_t round;
extern double lr, loss;
extern const frugal::schedules::cosine factor;
extern frugal::adamw<frugal::serial_backend> opt;

// Rows of an embedding, matrices of a decomposition, numbers drawn.
extern const frugal::index_t words, most, i, j, block, blocks;
extern const frugal::view<float> embedding, rows, scale, shift, dy, d_rows, d_scale, d_shift;
extern std::vector<float> left, basis, moved, values;
void keep_the_old_basis();
extern const frugal::detail::cpu_team<frugal::native_isa> team;
extern float* const to;

#ifdef DLPACK_VERSION
extern DLManagedTensor* const managed;
extern const std::vector<DLTensor*> tensors, gradients;
#endif

}  // namespace reader
