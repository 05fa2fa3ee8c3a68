// SPDX-License-Identifier: Apache-2.0
/// @file Tensors of other libraries by DLPack (0.6 and later): used where they are, and handed out together with what
/// keeps them alive.
#pragma once
#include <dlpack/dlpack.h>

#include <memory>
#include <string_view>

#include "../core/layout.hpp"
#include "../core/view.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// What is read of a DLTensor, a managed one, or a pointer to either.
struct dlpack_source {
  DLTensor const* tensor;
  bool read_only;
};
inline dlpack_source dlpack_source_of(DLTensor const& t) { return {&t, false}; }
template <class Managed>
requires requires(Managed m) { m.dl_tensor.data; }
dlpack_source dlpack_source_of(Managed const& m) {
#if defined(DLPACK_MAJOR_VERSION)
  if constexpr (requires { m.version; }) {  // of another one, nothing else may be read
    require(m.version.major == DLPACK_MAJOR_VERSION, "the major version of a DLPack tensor", DLPACK_MAJOR_VERSION,
            m.version.major);
    return {&m.dl_tensor, (m.flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0};
  }
#endif
  return {&m.dl_tensor, false};
}
template <class P>
requires requires(P p) { dlpack_source_of(*p); }
dlpack_source dlpack_source_of(P const& p) {
  require(bool(p), "a DLPack tensor", "a pointer", "null");
  return dlpack_source_of(*p);
}

template <class T>
constexpr DLDataType dlpack_type() {
  const auto code = std::is_same_v<T, bf16>  ? kDLBfloat
                    : !std::is_integral_v<T> ? kDLFloat
                    : std::is_signed_v<T>    ? kDLInt
                                             : kDLUInt;
  return {std::uint8_t(code), std::uint8_t(8 * sizeof(T)), 1};
}
inline std::string dlpack_name(DLDataType t) {  // float32, or int8x4
  constexpr char const* codes[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  return text(t.code < 7 ? codes[t.code] : "another type of ", int(t.bits), t.lanes == 1 ? "" : "x",
              t.lanes == 1 ? std::string() : text(int(t.lanes)));
}

template <class Space>
constexpr DLDeviceType dlpack_device() {
  constexpr std::string_view name = Space::name;
  return is_host<Space> ? kDLCPU : name == "cuda" ? kDLCUDA : name == "hip" ? kDLROCM : kDLExtDev;
}
/// Memory that a space's work can reach: also that which a vendor has made reachable from both sides.
template <class Space>
constexpr bool dlpack_reaches(DLDeviceType d) {
  if (is_host<Space> && (d == kDLCUDAHost || d == kDLROCMHost || d == kDLCUDAManaged)) return true;
  return d == dlpack_device<Space>() || (d == kDLCUDAManaged && dlpack_device<Space>() == kDLCUDA);
}
inline std::string dlpack_name(DLDeviceType d) {
  switch (d) {
    case kDLCPU:
      return "of the host";
    case kDLCUDA:
      return "of a CUDA device";
    case kDLCUDAHost:
      return "pinned for CUDA";
    case kDLCUDAManaged:
      return "managed by CUDA";
    case kDLROCM:
      return "of a ROCm device";
    case kDLROCMHost:
      return "pinned for ROCm";
    default:
      return text("of device type ", int(d));
  }
}

/// Lanes are a last extent.
inline std::vector<index_t> dlpack_shape(DLTensor const& t, std::string const& what) {
  require(t.ndim >= 0, text(what, ": the count of dimensions"), ">= 0", t.ndim);
  require(t.ndim == 0 || t.shape, text(what, ": the shape"), "a pointer", "null");
  require(t.dtype.lanes >= 1, text(what, ": the count of lanes"), ">= 1", t.dtype.lanes);
  std::vector<index_t> shape(t.shape, t.shape + t.ndim);
  if (t.dtype.lanes > 1) shape.push_back(t.dtype.lanes);
  return shape;
}
inline index_t dlpack_size(std::vector<index_t> const& shape, std::string const& what) {
  index_t n = 1;
  for (index_t extent : shape) {
    require(extent >= 0, text(what, ": an extent"), ">= 0", extent);
    require(extent == 0 || n <= (index_t(1) << 60) / extent, text(what, ": the size"), "at most 2^60", "more");
    n *= extent;
  }
  return n;
}

struct dlpack_delete {
  template <class Managed>
  void operator()(Managed* m) const {
    if (m->deleter) m->deleter(m);
  }
};
template <class Source>
inline constexpr bool dlpack_temporary = false;  // an owner that is gone when the statement ends
template <class Managed>
inline constexpr bool dlpack_temporary<std::unique_ptr<Managed, dlpack_delete>> = true;

template <class Managed, class Owner>
struct dlpack_holder {
  Managed managed{};
  std::vector<std::int64_t> shape, strides;
  Owner owner;
  static void drop(Managed* m) { delete static_cast<dlpack_holder*>(m->manager_ctx); }
};

}  // namespace detail

/// Owns a managed tensor: its deleter is called once, unless it is handed on by release().
/// @tparam Managed DLManagedTensor, or DLManagedTensorVersioned of DLPack 1.0
template <class Managed = DLManagedTensor>
using dlpack_owner = std::unique_ptr<Managed, detail::dlpack_delete>;

/// The elements of a tensor, where they are; good as long as the tensor. Refused: another type than T, memory that the
/// backend does not work in, elements that are not contiguous (of a tensor in rows), addresses that are no multiple of
/// sizeof(T); null, negative, too large; read-only where T is not const.
/// @param source a DLTensor, a managed one of any kind, or a pointer to one, an owner too
/// @param what   what it is called in messages
template <class T, class Backend, class Source>
view<T, typename Backend::space> dlpack_view([[maybe_unused]] Backend const& b, Source&& source,
                                             std::string const& what = "a DLPack tensor") {
  static_assert(!detail::dlpack_temporary<Source>,
                "frugal: this owner is gone when the statement ends, and its tensor: give it a name");
  using space = typename Backend::space;
  using E = std::remove_const_t<T>;
  const detail::dlpack_source from = detail::dlpack_source_of(source);
  DLTensor const& t = *from.tensor;
  require(std::is_const_v<T> || !from.read_only, what, "elements to write to", "a read-only tensor");
  DLDataType type = t.dtype;
  type.lanes = 1;
  constexpr DLDataType expected = detail::dlpack_type<E>();
  require(type.code == expected.code && type.bits == expected.bits, what,
          detail::text("elements of ", detail::dlpack_name(expected)), detail::dlpack_name(t.dtype));
  const DLDeviceType device = t.device.device_type;
  require(detail::dlpack_reaches<space>(device), what,
          detail::text("memory ", detail::dlpack_name(detail::dlpack_device<space>())), detail::dlpack_name(device));
  if constexpr (!detail::is_host<space> && requires { b.device(); })
    require(device == kDLCUDAManaged || t.device.device_id == b.device(), detail::text(what, ": the device"),
            b.device(), t.device.device_id);
  const std::vector<index_t> shape = detail::dlpack_shape(t, what);
  const index_t n = detail::dlpack_size(shape, what);
  if (n == 0) return {nullptr, 0};
  if (t.strides) {
    index_t stride = 1;
    for (int k = t.ndim; k-- > 0; stride *= t.shape[k])
      require(t.shape[k] == 1 || t.strides[k] == stride, what, "contiguous elements (those of a copy, for instance)",
              detail::text("a stride of ", t.strides[k], ", not ", stride, ", in dimension ", k));
  }
  require(t.data != nullptr, what, "a pointer", "null");
  const auto address = reinterpret_cast<std::uintptr_t>(t.data);
  const std::uintptr_t most = std::uintptr_t(-1) - std::uintptr_t(n) * sizeof(T);
  require(address <= most && t.byte_offset <= most - address, detail::text(what, ": the end"), "an address", "none");
  require((address + t.byte_offset) % sizeof(T) == 0, what,
          detail::text("an address that is a multiple of ", sizeof(T)), "another");
  return {reinterpret_cast<T*>(address + t.byte_offset), n};
}

/// The same for each of a list: arguments of a step.
template <class T, class Backend, class Sources>
std::vector<view<T, typename Backend::space>> dlpack_views(Backend const& b, Sources const& sources) {
  std::vector<view<T, typename Backend::space>> views;
  for (auto const& s : sources) views.push_back(dlpack_view<T>(b, s, detail::text("DLPack tensor ", views.size())));
  return views;
}

/// How a layout names it: its shape is the tensor's; lanes are a last extent.
template <class Source>
tensor_spec dlpack_spec(std::string name, Source const& source, std::string group = {}) {
  std::vector<index_t> shape = detail::dlpack_shape(*detail::dlpack_source_of(source).tensor, name);
  return {std::move(name), std::move(shape), std::move(group)};
}
/// The layout of a list of them, by the names "0", "1", ...
template <class Sources>
layout dlpack_layout(Sources const& sources) {
  std::vector<tensor_spec> specs;
  for (auto const& s : sources) specs.push_back(dlpack_spec(std::to_string(specs.size()), s));
  return layout(specs);
}

/// A tensor of these elements for another library. A backend's work on them is waited for by the caller.
/// @param shape of v.size() elements, in rows
/// @param owner kept until the deleter is called: a shared_ptr to the buffer, or to the optimizer whose state it is
template <class Managed = DLManagedTensor, class T, class Backend, class Owner>
dlpack_owner<Managed> dlpack_tensor([[maybe_unused]] Backend const& b, view<T, typename Backend::space> v,
                                    std::vector<index_t> const& shape, Owner owner) {
  static_assert(
      !std::is_const_v<T> || requires(Managed m) { m.flags; },
      "frugal: only a DLManagedTensorVersioned can say that it is read-only");
  using holder = detail::dlpack_holder<Managed, Owner>;
  require(detail::dlpack_size(shape, "a DLPack tensor") == v.size(), "the shape of a DLPack tensor",
          detail::text(v.size(), " elements"), detail::dlpack_size(shape, ""));
  require(v.data() || v.size() == 0, "what becomes a DLPack tensor", "a pointer", "null");
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t k = shape.size(); k > 1; --k) strides[k - 2] = strides[k - 1] * shape[k - 1];
  auto h = std::make_unique<holder>(holder{{}, {shape.begin(), shape.end()}, std::move(strides), std::move(owner)});
  DLTensor& t = h->managed.dl_tensor;
  t.data = const_cast<std::remove_const_t<T>*>(v.data());
  t.device = {detail::dlpack_device<typename Backend::space>(), 0};
  if constexpr (requires { b.device(); }) t.device.device_id = b.device();
  t.ndim = int(shape.size());
  t.dtype = detail::dlpack_type<std::remove_const_t<T>>();
  t.shape = h->shape.data();
  t.strides = h->strides.data();
#if defined(DLPACK_MAJOR_VERSION)
  if constexpr (requires { h->managed.version; }) {
    h->managed.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION};
    h->managed.flags = std::is_const_v<T> ? DLPACK_FLAG_BITMASK_READ_ONLY : 0;
  }
#endif
  h->managed.manager_ctx = h.get();
  h->managed.deleter = &holder::drop;
  return dlpack_owner<Managed>(&h.release()->managed);
}
/// One for each tensor of a layout, whose elements are v's one after the other; each keeps a copy of the owner.
template <class Managed = DLManagedTensor, class T, class Backend, class Owner>
std::vector<dlpack_owner<Managed>> dlpack_tensors(Backend const& b, view<T, typename Backend::space> v, layout const& l,
                                                  Owner const& owner) {
  require(v.size() == l.size(), "what becomes DLPack tensors", detail::text(l.size(), " elements"), v.size());
  std::vector<dlpack_owner<Managed>> all;
  for (tensor const& t : l.tensors())
    all.push_back(dlpack_tensor<Managed, T>(b, {v.data() + t.offset, t.size}, t.shape, owner));
  return all;
}
/// The same for a state of an optimizer that owns all coordinates, as visit_state gives it: there tensors begin at
/// multiples of 64 bytes. Those of frozen groups are not there: null.
template <class Managed = DLManagedTensor, class T, class Backend, class Owner>
std::vector<dlpack_owner<Managed>> dlpack_states(Backend const& b, view<T, typename Backend::space> v, layout const& l,
                                                 Owner const& owner) {
  constexpr index_t line = 64 / sizeof(T);
  index_t end = 0;
  std::vector<index_t> begins;
  for (tensor const& t : l.tensors()) {
    const bool there = t.size > 0 && !l.groups()[std::size_t(t.group)].frozen;
    if (there) end = (end + line - 1) / line * line;
    begins.push_back(there ? end : -1);
    if (there) end += t.size;
  }
  require(v.size() == end, "a state that becomes DLPack tensors", detail::text(end, " elements"), v.size());
  std::vector<dlpack_owner<Managed>> all(begins.size());
  for (std::size_t i = 0; i < begins.size(); ++i)
    if (begins[i] >= 0)
      all[i] = dlpack_tensor<Managed, T>(b, {v.data() + begins[i], l.tensors()[i].size}, l.tensors()[i].shape, owner);
  return all;
}

}  // namespace v0
}  // namespace frugal
