// SPDX-License-Identifier: Apache-2.0
// Thrust on CUDA: a policy is the cuda backend of its stream; pointers and vectors are views of device memory.
#include <frugal/interop/thrust.hpp>
#include <frugal/optim/lion.hpp>

#include <thrust/device_vector.h>
#include <thrust/system/cuda/memory_resource.h>

#include "support/device.hpp"

namespace frugal_test {

using thrust::cuda::par;
static_assert(std::is_same_v<decltype(frugal::thrust_backend(thrust::device)), device_backend>);
static_assert(std::is_same_v<decltype(frugal::thrust_backend(par.on(cudaStream_t{}))), device_backend>);
static_assert(
    std::is_same_v<decltype(frugal::thrust_backend(thrust::cuda::par_nosync.on(cudaStream_t{}))), device_backend>);
static_assert(frugal::detail::is_host<decltype(frugal::thrust_backend(thrust::host))::space>);

using there = frugal::view<float, frugal::cuda_space>;
using here = frugal::view<float>;
using device_pointer = thrust::device_ptr<float>;
static_assert(std::is_constructible_v<there, device_pointer, frugal::index_t>);
static_assert(!std::is_constructible_v<here, device_pointer, frugal::index_t>);
static_assert(std::is_same_v<frugal::viewed<thrust::device_vector<float>>::space, frugal::cuda_space>);
static_assert(std::is_constructible_v<there, thrust::device_vector<float>&>);

bool thrust_on_device(device_backend const&) {
  const std::vector<float> start = device_numbers<float>(5000, 1), slope = device_numbers<float>(5000, 2);
  std::vector<float> expected = start;
  frugal::lion(frugal::serial_backend{}, 5000).step(expected, slope);
  cudaStream_t stream = nullptr;
  if (cudaStreamCreate(&stream) != cudaSuccess) return false;
  bool good = true;
  {
    thrust::cuda::memory_resource from_thrust;
    frugal::thrust_memory memory(from_thrust);
    const auto b = frugal::thrust_backend(par.on(stream), static_cast<frugal::memory_resource&>(memory));
    good = b.stream() == stream;
    const frugal::buffer x(b, start), g(b, slope);
    const device_pointer p(x.data());
    frugal::lion(b, 5000).step({p, 5000}, {thrust::device_ptr<float const>(g.data()), 5000});
    good = good && frugal::to_host(b, x.view()) == expected;
    // On the host, beside it.
    std::vector<float> y = start;
    frugal::lion(frugal::thrust_backend(thrust::host), 5000).step(y, slope);
    good = good && y == expected;
  }
  cudaStreamDestroy(stream);
  return good;
}

}  // namespace frugal_test

[[maybe_unused]] static const int added = frugal_test::add_device_check("thrust", &frugal_test::thrust_on_device);
