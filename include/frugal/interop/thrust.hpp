// SPDX-License-Identifier: Apache-2.0
/// @file Thrust: its vectors and pointers as arguments, its execution policies as backends, its memory resources as
/// memory of backends. Thrust 1.17 and later.
#pragma once
#if !defined(THRUST_DEVICE_SYSTEM) && !defined(__CUDACC__)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP  // Thrust itself would take CUDA, which needs nvcc
#endif
#include <thrust/device_ptr.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/mr/memory_resource.h>
#include <thrust/system/cpp/execution_policy.h>

#include <memory>
#include <thread>

#include "../backend/host.hpp"
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#include "../backend/cuda.hpp"
#endif

namespace frugal {
inline namespace v0 {
namespace detail {

/// Where what a system of Thrust's points to is.
template <class System>
struct thrust_space {
  using type = host_space;
};
template <class E, class System, class Reference, class P>
thrust_space<System> space_of_pointer(thrust::pointer<E, System, Reference, P> const&);

template <class Policy>
thrust::execution_policy<Policy> const& as_thrust_policy(thrust::execution_policy<Policy> const&);
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
template <>
struct thrust_space<thrust::cuda::tag> {
  using type = cuda_space;
};
template <class Derived>
cudaStream_t stream_of(thrust::cuda::execution_policy<Derived>& p) {
  return thrust::cuda_cub::stream(p);
}
#else
void stream_of();  // no policy has one
#endif

/// f on one of the parts of [0, n).
template <class F>
struct thrust_part {
  index_t n, grain;
  F const* f;
  void operator()(index_t k) const { (*f)(k * grain, (k + 1) * grain < n ? (k + 1) * grain : n); }
};

}  // namespace detail

/// thrust::device_ptr, universal_ptr: {pointer, size} is a view.
template <class P>
requires requires(P p) { detail::space_of_pointer(p); }
struct viewed<P> {
  using space = typename decltype(detail::space_of_pointer(std::declval<P>()))::type;
  static auto data(P p) { return thrust::raw_pointer_cast(p); }
};
/// thrust::device_vector, universal_vector: what data() of such a pointer gives. A host_vector is a view as any vector.
template <class V>
requires requires(V v) { detail::space_of_pointer(v.data()); }
struct viewed<V> {
  using space = typename viewed<typename V::pointer>::space;
  static auto data(V& v) { return thrust::raw_pointer_cast(v.data()); }
  static auto data(V const& v) { return thrust::raw_pointer_cast(v.data()); }
};

/// Memory from a resource of Thrust's, which outlives it: for thrust_backend(policy, memory), cuda_backend(stream,
/// memory) and any other whose memory it is.
template <class Resource>
class thrust_memory final : public memory_resource {
 public:
  explicit thrust_memory(Resource& from) : from_(&from) {}

 private:
  using pointer = typename Resource::pointer;
  void* do_allocate(std::size_t bytes) override { return thrust::raw_pointer_cast(from_->allocate(bytes, 64)); }
  void do_deallocate(void* p, std::size_t bytes) noexcept override { from_->deallocate(pointer(p), bytes, 64); }
  Resource* from_;
};

/// A host system of Thrust's: work is shared out by thrust::for_each_n with the policy. Bits are those of every
/// backend.
template <class Policy, class Isa = native_isa>
class basic_thrust : public host_backend<basic_thrust<Policy, Isa>, Isa> {
 public:
  static constexpr char const* name = "thrust";
  explicit basic_thrust(Policy policy) : policy_(std::make_shared<Policy>(policy)) {}
  /// With memory from `from`, which outlives every object of this backend.
  basic_thrust(Policy policy, memory_resource& from)
      : host_backend<basic_thrust<Policy, Isa>, Isa>(from), policy_(std::make_shared<Policy>(policy)) {}
  /// Teams that it runs at a time: one, or as many as there are processors.
  static int concurrency() {
    if constexpr (std::is_same_v<Policy, thrust::detail::seq_t>) return 1;
    else if constexpr (std::is_same_v<typename Policy::tag_type, thrust::system::cpp::tag>) return 1;
    else return int(std::thread::hardware_concurrency()) + (std::thread::hardware_concurrency() == 0);
  }
  template <class F>
  void share(index_t n, index_t grain, F const& f) const {
    thrust::for_each_n(*policy_, thrust::counting_iterator<index_t>(0), (n + grain - 1) / grain,
                       detail::thrust_part<F>{n, grain, &f});
  }

 private:
  std::shared_ptr<Policy const> policy_;  // some refer to an allocator, and cannot be assigned
};

/// The backend of an execution policy of Thrust's: thrust::host, thrust::tbb::par ... On CUDA it is the cuda_backend of
/// the policy's stream, which does not wait where Thrust would. The policy's allocator is for Thrust's own temporaries.
/// @param memory a memory_resource, or nothing
template <class Policy, std::same_as<memory_resource>... Memory>
requires(sizeof...(Memory) <= 1 &&
         requires(Policy p) { detail::as_thrust_policy(p); }) auto thrust_backend(Policy policy, Memory&... memory) {
  if constexpr (requires { detail::stream_of(policy); }) {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
    return cuda_backend(detail::stream_of(policy), memory...);
#endif
  } else {
    return basic_thrust<Policy>(policy, memory...);
  }
}

}  // namespace v0
}  // namespace frugal
