// SPDX-License-Identifier: Apache-2.0
/// @file Saved states in torch's archives.
#pragma once
#include "../core/macros.hpp"

#if !FRUGAL_EXCEPTIONS
#error \
    "frugal: torch reports faults by exceptions, and frugal/interop/torch.hpp needs them: compile this file without -fno-exceptions"
#endif

#include <ATen/core/ivalue.h>  // first: clang reads libtorch 1.13 as C++20 in this order only

#include <torch/serialize/archive.h>

#include "../core/state.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

[[noreturn]] inline void refuse_archive(std::string const& key) {
  refuse("an archive of torch", text("'", key, "', as torch_optimizer writes it"), "none");
}
inline c10::IValue read_value(::torch::serialize::InputArchive& from, std::string const& key) {
  c10::IValue v;
  if (!from.try_read(key, v)) refuse_archive(key);
  return v;
}
inline index_t read_count(::torch::serialize::InputArchive& from, std::string const& key) {
  const c10::IValue v = read_value(from, key);
  if (!v.isInt() || v.toInt() < 0)
    refuse(text("'", key, "' in an archive"), "a count", v.isInt() ? text(v.toInt()) : v.tagKind());
  return v.toInt();
}
inline std::string read_text(::torch::serialize::InputArchive& from, std::string const& key) {
  const c10::IValue v = read_value(from, key);
  if (!v.isString()) refuse(text("'", key, "' in an archive"), "a text", v.tagKind());
  return v.toStringRef();
}
inline void read_nested(::torch::serialize::InputArchive& from, std::string const& key,
                        ::torch::serialize::InputArchive& to) {
  if (!from.try_read(key, to)) refuse_archive(key);
}

inline void write_snapshot(::torch::serialize::OutputArchive& to, snapshot const& s) {
  to.write("algorithm", c10::IValue(s.algorithm));
  to.write("layout", c10::IValue(std::int64_t(s.layout)));
  to.write("pieces", c10::IValue(std::int64_t(s.pieces.size())));
  for (std::size_t j = 0; j < s.pieces.size(); ++j) {
    snapshot::piece const& p = s.pieces[j];
    ::torch::serialize::OutputArchive piece(to.compilation_unit());
    piece.write("name", c10::IValue(p.name));
    piece.write("role", c10::IValue(std::int64_t(p.role)));
    piece.write("type", c10::IValue(p.type));
    piece.write("count", c10::IValue(std::int64_t(p.count)));
    at::Tensor bytes = at::empty({std::int64_t(p.bytes.size())}, at::kByte);
    if (!p.bytes.empty()) memcpy(bytes.data_ptr(), p.bytes.data(), p.bytes.size());
    piece.write("bytes", bytes);
    to.write(text("piece", j), piece);
  }
}
/// What is in it is for restore_state() to judge.
inline snapshot read_snapshot(::torch::serialize::InputArchive& from) {
  const c10::IValue hash = read_value(from, "layout");
  require(hash.isInt(), "'layout' in an archive", "a number", hash.tagKind());
  snapshot s{read_text(from, "algorithm"), std::uint64_t(hash.toInt()), {}};
  const index_t pieces = read_count(from, "pieces");
  for (index_t j = 0; j < pieces; ++j) {
    ::torch::serialize::InputArchive piece;
    read_nested(from, text("piece", j), piece);
    at::Tensor bytes;
    if (!piece.try_read("bytes", bytes) || bytes.scalar_type() != at::kByte || !bytes.device().is_cpu())
      refuse_archive("bytes");
    const index_t r = read_count(piece, "role");
    require(r <= index_t(role::scales), "'role' in an archive", text("0 to ", index_t(role::scales)), r);
    bytes = bytes.contiguous();
    auto const* const data = static_cast<unsigned char const*>(bytes.data_ptr());
    s.pieces.push_back({read_text(piece, "name"),
                        role(r),
                        read_text(piece, "type"),
                        read_count(piece, "count"),
                        {data, data + bytes.numel()}});
  }
  return s;
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
