// SPDX-License-Identifier: Apache-2.0
// Tensors by DLPack: what is taken, what is refused, who deletes, and what is handed out.
#include <dlpack/dlpack.h>

#include <cstdint>
#if !defined(DLPACK_MAJOR_VERSION)  // older than 1.0: what that added, as its documentation gives it
#define DLPACK_MAJOR_VERSION 1
#define DLPACK_MINOR_VERSION 0
#define DLPACK_FLAG_BITMASK_READ_ONLY (1UL << 0UL)
struct DLPackVersion {
  std::uint32_t major, minor;
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};
#endif

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/interop/dlpack.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/lamb.hpp>
#include <frugal/optim/muon.hpp>

#include <algorithm>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::dlpack_view, frugal::dlpack_owner, frugal::index_t, frugal::view;
const frugal::serial_backend cpu;

// A tensor of a shape, in rows, over memory of the test's.
struct tensor {
  std::vector<std::int64_t> shape, strides;
  DLTensor t;
  tensor(void* p, std::vector<std::int64_t> extents, DLDataType type = {kDLFloat, 32, 1})
      : shape(std::move(extents)), strides(shape.size(), 1), t{p,    {kDLCPU, 0}, int(shape.size()),
                                                               type, nullptr,     nullptr,
                                                               0} {
    for (std::size_t k = shape.size(); k > 1; --k) strides[k - 2] = strides[k - 1] * shape[k - 1];
    t.shape = shape.data();
    t.strides = strides.data();
  }
  tensor(tensor const&) = delete;
};

TEST(dlpack, tensors_are_used_where_they_are) {
  std::vector<float> memory = numbers(24, 1);
  tensor x(memory.data(), {2, 3, 4});
  const auto expect = [&](DLTensor const& t, index_t offset, index_t size) {
    const view<float> v = dlpack_view<float>(cpu, t);
    EXPECT_EQ(v.data(), memory.data() + offset);
    EXPECT_EQ(v.size(), size);
    EXPECT_EQ(dlpack_view<float const>(cpu, &t).data(), v.data());
  };
  expect(x.t, 0, 24);
  x.t.strides = nullptr;
  expect(x.t, 0, 24);
  x.t.byte_offset = 8;
  x.shape = {1, 2, 1, 5};
  x.t.shape = x.shape.data(), x.t.ndim = 4;
  expect(x.t, 2, 10);
  std::int64_t any[] = {-7, 5, 1000, 1};  // where there is one element, nobody goes on
  x.t.strides = any;
  expect(x.t, 2, 10);
  tensor number(memory.data() + 3, {});
  number.t.shape = nullptr;
  expect(number.t, 3, 1);
  tensor lanes(memory.data(), {5}, {kDLFloat, 32, 4});
  expect(lanes.t, 0, 20);
  for (DLDeviceType reached : {kDLCUDAHost, kDLROCMHost, kDLCUDAManaged}) {
    tensor pinned(memory.data(), {24});
    pinned.t.device = {reached, 3};
    expect(pinned.t, 0, 24);
  }
  tensor none(nullptr, {3, 0});
  none.strides = {7, 7};
  EXPECT_EQ(dlpack_view<float>(cpu, none.t).size(), 0);
}

template <class T>
void expect_type(DLDataType type) {
  T memory[3];
  tensor x(memory, {3}, type);
  EXPECT_EQ(dlpack_view<T>(cpu, x.t).data(), memory);
  const auto own = frugal::dlpack_tensor(cpu, view<T>(memory, 3), {3}, 0);
  EXPECT_EQ(own->dl_tensor.dtype.code, type.code);
  EXPECT_EQ(own->dl_tensor.dtype.bits, type.bits);
  EXPECT_EQ(own->dl_tensor.dtype.lanes, 1);
}
TEST(dlpack, element_types) {
  expect_type<float>({kDLFloat, 32, 1});
  expect_type<double>({kDLFloat, 64, 1});
  expect_type<frugal::half>({kDLFloat, 16, 1});
  expect_type<frugal::bf16>({kDLBfloat, 16, 1});
  expect_type<std::uint8_t>({kDLUInt, 8, 1});
  expect_type<std::int64_t>({kDLInt, 64, 1});
}

TEST(dlpack, what_is_refused) {
  std::vector<float> memory(24);
  const auto wrong = [&](auto const& change, char const* about, char const* expected, char const* got) {
    tensor x(memory.data(), {2, 3, 4});
    EXPECT_NO_THROW(dlpack_view<float>(cpu, x.t));
    change(x);
    EXPECT_TRUE(refused([&] { dlpack_view<float>(cpu, x.t, "weights"); }, about, expected, got));
    EXPECT_TRUE(refused([&] { dlpack_view<float const>(cpu, x.t, "weights"); }, about, expected, got));
  };
  wrong([](tensor& x) { x.t.dtype.code = kDLInt; }, "weights", "elements of float32", "int32");
  wrong([](tensor& x) { x.t.dtype.bits = 64; }, "weights", "elements of float32", "float64");
  wrong([](tensor& x) { x.t.dtype = {kDLBfloat, 16, 2}; }, "weights", "elements of float32", "bfloat16x2");
  wrong([](tensor& x) { x.t.dtype = {200, 8, 1}; }, "weights", "elements of float32", "another type of 8");
  wrong([](tensor& x) { x.t.dtype.lanes = 0; }, "weights: the count of lanes", ">= 1", "0");
  wrong([](tensor& x) { x.t.device.device_type = kDLCUDA; }, "weights", "memory of the host", "of a CUDA device");
  wrong([](tensor& x) { x.t.device.device_type = kDLROCM; }, "weights", "memory of the host", "of a ROCm device");
  wrong([](tensor& x) { x.t.device.device_type = kDLVulkan; }, "weights", "memory of the host", "of device type 7");
  wrong([](tensor& x) { x.t.ndim = -1; }, "weights: the count of dimensions", ">= 0", "-1");
  wrong([](tensor& x) { x.t.shape = nullptr; }, "weights: the shape", "a pointer", "null");
  wrong([](tensor& x) { x.shape[1] = -3; }, "weights: an extent", ">= 0", "-3");
  wrong([](tensor& x) { x.shape[0] = std::int64_t(1) << 58; }, "weights: the size", "at most 2^60", "more");
  wrong([](tensor& x) { x.shape[0] = x.shape[1] = INT64_MAX; }, "weights: the size", "at most 2^60", "more");
  wrong([](tensor& x) { x.t.data = nullptr; }, "weights", "a pointer", "null");
  wrong([](tensor& x) { x.t.byte_offset = 2; }, "weights", "an address that is a multiple of 4", "another");
  wrong([](tensor& x) { x.t.byte_offset = UINT64_MAX - 3; }, "weights: the end", "an address", "none");
  wrong([](tensor& x) { x.strides[2] = 2; }, "weights", "contiguous elements (those of a copy, for instance)",
        "a stride of 2, not 1, in dimension 2");
  wrong(
      [](tensor& x) {
        x.strides = {1, 2, 6}, x.t.strides = x.strides.data();
      },
      "weights", "contiguous elements", "a stride");
  wrong([](tensor& x) { x.strides[0] = 13; }, "weights", "contiguous elements (those of a copy, for instance)",
        "a stride of 13, not 12, in dimension 0");
  wrong([](tensor& x) { x.strides[1] = 0; }, "weights", "contiguous elements (those of a copy, for instance)",
        "a stride of 0, not 4, in dimension 1");
  wrong([](tensor& x) { x.strides[1] = -4; }, "weights", "contiguous elements (those of a copy, for instance)",
        "a stride of -4, not 4, in dimension 1");
  DLTensor* const null = nullptr;
  EXPECT_TRUE(refused([&] { dlpack_view<float>(cpu, null); }, "a DLPack tensor", "a pointer", "null"));
}

// Spaces are known by their vendors' names.
struct cuda_s {
  static constexpr char const* name = "cuda";
};
struct hip_s {
  static constexpr char const* name = "hip";
};
template <class Space>
constexpr bool reaches(std::initializer_list<DLDeviceType> these) {
  for (int d = 1; d < 20; ++d)
    if (frugal::detail::dlpack_reaches<Space>(DLDeviceType(d)) !=
        (std::find(these.begin(), these.end(), d) != these.end()))
      return false;
  return true;
}
static_assert(reaches<frugal::host_space>({kDLCPU, kDLCUDAHost, kDLROCMHost, kDLCUDAManaged}));
static_assert(reaches<cuda_s>({kDLCUDA, kDLCUDAManaged}));
static_assert(reaches<hip_s>({kDLROCM}));
static_assert(reaches<frugal::emulated_space>({kDLExtDev}));

TEST(dlpack, a_device_s_memory_is_taken_there_only) {
  const frugal::emulated_backend gpu;
  frugal::buffer<float, frugal::emulated_backend> x(gpu, 6);
  tensor there(x.data(), {6});
  EXPECT_TRUE(
      refused([&] { dlpack_view<float>(gpu, there.t); }, "a DLPack tensor", "memory of device type 12", "of the host"));
  there.t.device = {kDLExtDev, gpu.device()};
  EXPECT_EQ(dlpack_view<float>(gpu, there.t).data(), x.data());
  EXPECT_TRUE(
      refused([&] { dlpack_view<float>(cpu, there.t); }, "a DLPack tensor", "memory of the host", "of device type 12"));
  there.t.device.device_id += 1;
  EXPECT_TRUE(refused([&] { dlpack_view<float>(gpu, there.t); }, "a DLPack tensor: the device",
                      std::to_string(gpu.device()), std::to_string(gpu.device() + 1)));
  const auto out = frugal::dlpack_tensor(gpu, x.view(), {2, 3}, 0);
  EXPECT_EQ(out->dl_tensor.device.device_type, kDLExtDev);
  EXPECT_EQ(dlpack_view<float>(gpu, out).data(), x.data());
}

// A managed tensor that counts how often it is deleted.
template <class Managed>
Managed* counted(tensor& x, int& count) {
  return new Managed{.dl_tensor = x.t, .manager_ctx = &count, .deleter = [](Managed* self) {
                       ++*static_cast<int*>(self->manager_ctx);
                       delete self;
                     }};
}
template <>
DLManagedTensorVersioned* counted(tensor& x, int& count) {
  const auto drop = [](DLManagedTensorVersioned* self) {
    ++*static_cast<int*>(self->manager_ctx);
    delete self;
  };
  return new DLManagedTensorVersioned{{DLPACK_MAJOR_VERSION, 99}, &count, drop, 0, x.t};
}

template <class Managed>
void expect_owned() {
  float memory[4] = {};
  tensor x(memory, {4});
  int count = 0;
  {
    const dlpack_owner<Managed> a(counted<Managed>(x, count));
    EXPECT_EQ(dlpack_view<float>(cpu, a).data(), memory);
    EXPECT_EQ(dlpack_view<float>(cpu, *a).size(), 4);
    EXPECT_EQ(count, 0);
  }
  EXPECT_EQ(count, 1);
  dlpack_owner<Managed> a(counted<Managed>(x, count)), b;
  EXPECT_TRUE(refused([&] { dlpack_view<float>(cpu, b); }, "a DLPack tensor", "a pointer", "null"));
  b = std::move(a);
  a.reset();
  EXPECT_EQ(count, 1);
  Managed* const raw = b.release();  // for another library
  b.reset();
  EXPECT_EQ(count, 1);
  raw->deleter(raw);
  EXPECT_EQ(count, 2);
  auto borrowed = std::unique_ptr<Managed>(counted<Managed>(x, count));
  borrowed->deleter = nullptr;  // nothing is to be done
  dlpack_owner<Managed>(borrowed.get()).reset();
  EXPECT_EQ(count, 2);
  static_assert(!std::is_copy_constructible_v<dlpack_owner<Managed>>);
}
TEST(dlpack, an_owner_deletes_once) {
  expect_owned<DLManagedTensor>();
  expect_owned<DLManagedTensorVersioned>();
}

TEST(dlpack, versions_and_read_only_tensors) {
  float memory[4] = {};
  tensor x(memory, {4});
  int count = 0;
  {
    const dlpack_owner<DLManagedTensorVersioned> a(counted<DLManagedTensorVersioned>(x, count));
    a->flags = DLPACK_FLAG_BITMASK_READ_ONLY;
    EXPECT_EQ(dlpack_view<float const>(cpu, a).data(), memory);
    EXPECT_TRUE(refused([&] { dlpack_view<float>(cpu, a); }, "a DLPack tensor", "elements to write to", "a read-only"));
    a->version.major = DLPACK_MAJOR_VERSION + 1;
    a->dl_tensor.shape = nullptr;  // who knows what is there then
    EXPECT_TRUE(refused([&] { dlpack_view<float const>(cpu, a); }, "the major version of a DLPack tensor",
                        std::to_string(DLPACK_MAJOR_VERSION), std::to_string(DLPACK_MAJOR_VERSION + 1)));
    EXPECT_EQ(count, 0);
  }
  EXPECT_EQ(count, 1);
  const auto out = frugal::dlpack_tensor<DLManagedTensorVersioned>(cpu, view<float const>(memory, 4), {2, 2}, 0);
  EXPECT_EQ(out->version.major, DLPACK_MAJOR_VERSION);
  EXPECT_EQ(out->flags, DLPACK_FLAG_BITMASK_READ_ONLY);
  EXPECT_EQ((frugal::dlpack_tensor<DLManagedTensorVersioned>(cpu, view<float>(memory, 4), {4}, 0)->flags), 0u);
}

TEST(dlpack, what_is_handed_out_keeps_its_owner) {
  const frugal::layout tensors{{"w", {2, 3}}, {"none", {0, 4}}, {"b", {}}};
  auto memory = std::make_shared<frugal::buffer<float, frugal::serial_backend>>(cpu, numbers(7, 3));
  const std::weak_ptr watch = memory;
  float* const p = memory->data();
  auto out = frugal::dlpack_tensors(cpu, memory->view(), tensors, memory);
  memory.reset();
  ASSERT_EQ(out.size(), 3u);
  const DLTensor &w = out[0]->dl_tensor, &b = out[2]->dl_tensor;
  EXPECT_EQ(w.data, p);
  EXPECT_EQ(w.ndim, 2);
  EXPECT_EQ(std::vector(w.shape, w.shape + 2), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(std::vector(w.strides, w.strides + 2), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(w.byte_offset, 0u);
  EXPECT_EQ(w.device.device_type, kDLCPU);
  EXPECT_EQ(b.data, p + 6);
  EXPECT_EQ(b.ndim, 0);
  EXPECT_EQ(dlpack_view<float>(cpu, out[0]).size(), 6);
  EXPECT_EQ(dlpack_view<float>(cpu, out[1]).size(), 0);
  out[0].reset(), out[1].reset();
  EXPECT_FALSE(watch.expired());
  DLManagedTensor* last = out[2].release();
  last->deleter(last);
  EXPECT_TRUE(watch.expired());
  float four[4];
  const view<float> v(four, 4);
  EXPECT_TRUE(
      refused([&] { frugal::dlpack_tensor(cpu, v, {5}, 0); }, "the shape of a DLPack tensor", "4 elements", "5"));
  EXPECT_TRUE(refused([&] { frugal::dlpack_tensor(cpu, v, {-2, -2}, 0); }, "an extent", ">= 0", "-2"));
  EXPECT_TRUE(
      refused([&] { frugal::dlpack_tensors(cpu, v, tensors, 0); }, "what becomes DLPack tensors", "7 elements", "4"));
  EXPECT_TRUE(refused([&] { frugal::dlpack_tensor(cpu, view<float>(nullptr, 4), {4}, 0); },
                      "what becomes a DLPack tensor", "a pointer", "null"));
}

TEST(dlpack, an_optimizer_s_state) {
  const frugal::layout tensors({{"w", {2, 3}}, {"fixed", {5}, "frozen"}, {"b", {3}}},
                               {{.name = "frozen", .frozen = true}});
  auto opt = std::make_shared<frugal::adam<frugal::serial_backend>>(cpu, tensors);
  std::vector<float> x(14), g(14, 1.f);
  std::fill(g.begin() + 11, g.end(), 2.f);
  opt->step(x, g);
  std::vector<dlpack_owner<>> moments;
  opt->visit_state([&]<class T, class Space>(std::string_view name, frugal::role, view<T, Space> v) {
    if (name == "m") moments = frugal::dlpack_states(cpu, v, tensors, opt);
  });
  const std::weak_ptr watch = opt;
  opt.reset();
  ASSERT_EQ(moments.size(), 3u);
  EXPECT_EQ(moments[1], nullptr);
  const view<float const> w = dlpack_view<float const>(cpu, moments[0]), b = dlpack_view<float const>(cpu, moments[2]);
  EXPECT_EQ(w.size(), 6);
  EXPECT_EQ(b.size(), 3);
  for (float m : w) EXPECT_NEAR(m, 0.1f, 1e-6f);
  for (float m : b) EXPECT_NEAR(m, 0.2f, 1e-6f);
  const view<float> part(x.data(), 9);
  EXPECT_TRUE(refused([&] { frugal::dlpack_states(cpu, part, tensors, 0); }, "a state that becomes DLPack tensors",
                      "19 elements", "9"));
  moments.clear();
  EXPECT_TRUE(watch.expired());
}

// The steps of an optimizer on tensors by DLPack are those on vectors.
template <class Optimizer>
void expect_same_steps() {
  std::vector<float> w = numbers(12, 1), b = numbers(3, 2), flat = w;
  flat.insert(flat.end(), b.begin(), b.end());
  const std::vector<float> slope = numbers(15, 3);
  tensor dl_w(w.data(), {4, 3}), dl_b(b.data(), {1, 3}), dw(const_cast<float*>(slope.data()), {4, 3}),
      db(const_cast<float*>(slope.data() + 12), {1, 3});
  const std::vector<DLTensor*> model{&dl_w.t, &dl_b.t}, gradients{&dw.t, &db.t};
  Optimizer opt(cpu, frugal::dlpack_layout(model)), same(cpu, frugal::layout{{"w", {4, 3}}, {"b", {1, 3}}});
  for (int t = 0; t < 3; ++t) {
    opt.step(frugal::dlpack_views<float>(cpu, model), frugal::dlpack_views<float const>(cpu, gradients));
    same.step(flat, slope);
  }
  EXPECT_TRUE(same_bits(w, std::vector<float>(flat.begin(), flat.begin() + 12)));
  EXPECT_TRUE(same_bits(b, std::vector<float>(flat.begin() + 12, flat.end())));
}
TEST(dlpack, steps_and_layouts) {
  expect_same_steps<frugal::muon<frugal::serial_backend>>();
  expect_same_steps<frugal::lamb<frugal::serial_backend>>();
  float memory[12];
  tensor x(memory, {3}, {kDLFloat, 32, 4}), bad(memory, {3, -1});
  const frugal::layout l({frugal::dlpack_spec("x", x.t, "fast")}, {{.name = "fast", .lr = 2}});
  EXPECT_EQ(l.tensors()[0].shape, (std::vector<index_t>{3, 4}));
  EXPECT_EQ(l.tensors()[0].group, 1);
  EXPECT_TRUE(refused([&] { frugal::dlpack_layout(std::vector{bad.t}); }, "an extent of tensor '0'", ">= 0", "-1"));
  const std::vector<DLTensor> two{x.t, bad.t};
  EXPECT_TRUE(refused([&] { frugal::dlpack_views<float>(cpu, two); }, "DLPack tensor 1: an extent", ">= 0", "-1"));
}

}  // namespace
