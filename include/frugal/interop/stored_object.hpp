// SPDX-License-Identifier: Apache-2.0
/// @file What a checkpoint sees of an object, and how a list of such goes to bytes and back. docs/checkpoints.md has
/// the format.
#pragma once
#include <functional>

#include "../core/buffer.hpp"
#include "../core/state.hpp"
#include "safetensors_header.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

constexpr std::string_view name_of(role r) {
  constexpr std::string_view names[] = {"counter", "clock", "moment", "codes", "scales"};
  return names[int(r)];
}
inline constexpr std::string_view role_of_weights = "weights";

/// Good until the object's next step.
struct stored_object {
  struct piece {
    stored_tensor what;
    std::string_view role;
    unsigned char* data;
    std::uint64_t bytes() const { return what.end; }  // of a tensor that is not yet in its place
  };
  using byte_copy = std::function<void(void*, void const*, std::size_t)>;
  std::string name, algorithm;
  std::uint64_t layout = 0;
  std::vector<piece> pieces;
  byte_copy in, out;  // to and from its memory; empty where that is the host's

  template <class Backend>
  stored_object(std::string n, std::string a, std::uint64_t l, Backend const& b)
      : name(std::move(n)), algorithm(std::move(a)), layout(l) {
    b.sync();
    if constexpr (!is_host<typename Backend::space>) {
      in = [b](void* to, void const* from, std::size_t bytes) { b.copy_in(to, from, bytes); };
      out = [b](void* to, void const* from, std::size_t bytes) { b.copy_out(to, from, bytes); };
    }
  }
  template <class T, class Space>
  void add(std::string_view what, std::string_view r, std::vector<index_t> shape, view<T, Space> v) {
    stored_tensor t{text(name, ".", std::string(what)), dtype_of<T>(), std::move(shape), 0,
                    std::uint64_t(v.size()) * sizeof(T)};
    pieces.push_back({std::move(t), r, reinterpret_cast<unsigned char*>(v.data())});
  }
};
using stored_objects = std::vector<stored_object>;

/// Tensors are read, written and summed in pieces of this size: a checksum is a chain of the pieces'.
inline constexpr std::uint64_t file_piece = std::uint64_t(1) << 20;
/// The checksum of so many bytes; next(offset, n) says where the next n are.
template <class Next>
std::string sum_of_pieces(std::uint64_t bytes, Next const& next) {
  std::uint64_t sum = 0;
  for (std::uint64_t at = 0; at < bytes; at += file_piece) {
    const auto n = std::size_t((std::min)(file_piece, bytes - at));
    sum = word_hash(next(at, n), n, sum);
  }
  return hex(sum);
}

/// A file, or bytes in memory.
using byte_source = std::function<void(std::uint64_t at, void* to, std::size_t bytes)>;
using byte_sink = std::function<void(std::uint64_t at, void const* from, std::size_t bytes)>;

// Keys of the metadata. Those of a caller's own do not begin so.
inline constexpr std::string_view own_keys = "frugal.";
inline std::string key_of_algorithm(std::string const& object) { return "frugal.algorithm." + object; }
inline std::string key_of_layout(std::string const& object) { return "frugal.layout." + object; }
inline std::string key_of_role(std::string const& tensor) { return "frugal.role." + tensor; }
inline std::string key_of_checksum(std::string const& tensor) { return "frugal.checksum." + tensor; }
struct fixed_text {
  char const *key, *what, *value;
};
inline constexpr fixed_text versions[] = {
    {"frugal.format", "the version of a checkpoint", "1"},
    {"frugal.random_format", "the version of a checkpoint's random format", "1"}};  // core/random.hpp

/// Tensors first, then the header, which has their checksums and is as long with any.
inline void write_checkpoint(stored_objects const& objects, text_map const& notes, byte_sink const& to) {
  safetensors_header h{notes, {}};
  for (auto const& [key, value] : notes)
    require(!key.starts_with(own_keys), "a note of a checkpoint", "a key that does not begin with 'frugal.'", key);
  for (fixed_text const& t : versions) h.metadata[t.key] = t.value;
  struct part {
    stored_object const* object;
    stored_object::piece const* piece;
  };
  std::vector<part> parts;
  for (stored_object const& o : objects) {
    h.metadata[key_of_algorithm(o.name)] = o.algorithm;
    h.metadata[key_of_layout(o.name)] = hex(o.layout);
    for (stored_object::piece const& p : o.pieces) {
      if (!h.metadata.emplace(key_of_role(p.what.name), p.role).second)
        refuse("a piece of a state", "a name of its own", text("a second '", p.what.name, "'"));
      h.metadata[key_of_checksum(p.what.name)] = hex(0);
      parts.push_back({&o, &p});
    }
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](part const& a, part const& b) { return a.piece->what.type < b.piece->what.type; });
  std::uint64_t end = 0;
  for (part const& p : parts) {
    stored_tensor& t = h.tensors.emplace_back(p.piece->what);
    t.begin = end;
    t.end = end += p.piece->bytes();
  }
  const std::uint64_t first = sizeof first + h.render().size();
  std::vector<unsigned char> staging;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    auto const& [object, piece] = parts[k];
    h.metadata[key_of_checksum(piece->what.name)] =
        sum_of_pieces(piece->bytes(), [&, o = object, p = piece](std::uint64_t at, std::size_t n) {
          unsigned char const* from = p->data + at;
          if (o->out) {
            staging.resize(std::size_t(file_piece));
            o->out(staging.data(), from, n);
            from = staging.data();
          }
          to(first + h.tensors[k].begin + at, from, n);
          return from;
        });
  }
  const std::string header = h.render();
  const std::uint64_t size = header.size();
  to(0, &size, sizeof size);
  to(sizeof size, header.data(), header.size());
}

inline std::string const& metadata_of(safetensors_header const& h, std::string const& key) {
  const auto at = h.metadata.find(key);
  if (at == h.metadata.end()) refuse("a checkpoint", text("the metadata '", key, "'"), "none");
  return at->second;
}
inline void expect(safetensors_header const& h, std::string const& key, std::string const& what,
                   std::string const& expected) {
  std::string const& got = metadata_of(h, key);
  if (got != expected) refuse(what, expected, shown(got));
}

/// The tensors that an object's pieces are in, if they are those of just such an object.
inline std::vector<stored_tensor const*> tensors_of(safetensors_header const& h, stored_object const& o) {
  if (!h.metadata.contains(key_of_algorithm(o.name))) refuse("a checkpoint", text("'", o.name, "'"), "one without");
  expect(h, key_of_algorithm(o.name), text("the algorithm and storage of '", o.name, "'"), o.algorithm);
  expect(h, key_of_layout(o.name), text("the layout (its hash) of '", o.name, "'"), hex(o.layout));
  std::map<std::string_view, stored_tensor const*> there;
  for (stored_tensor const& t : h.tensors)
    if (t.name.starts_with(o.name) && t.name[o.name.size()] == '.') there[t.name] = &t;
  std::vector<stored_tensor const*> found;
  for (stored_object::piece const& p : o.pieces) {
    const auto at = there.find(p.what.name);
    if (at == there.end()) refuse("a checkpoint", text("the tensor '", p.what.name, "'"), "none");
    stored_tensor const& t = *at->second;
    if (t.type != p.what.type) refuse(text("the dtype of '", t.name, "'"), info(p.what.type).name, info(t.type).name);
    if (t.shape != p.what.shape)
      refuse(text("the shape of '", t.name, "'"), shape_text(p.what.shape), shape_text(t.shape));
    expect(h, key_of_role(t.name), text("the role of '", t.name, "'"), std::string(p.role));
    found.push_back(&t);
  }
  if (found.size() != there.size())
    refuse(text("the count of tensors of '", o.name, "'"), text(found.size()), text(there.size()));
  return found;
}

/// Returns the notes. Anything that does not fit or was altered is refused before a value of an object is changed.
inline text_map read_checkpoint(stored_objects const& objects, std::uint64_t bytes, byte_source const& from) {
  std::uint64_t size = 0;
  require(bytes >= sizeof size, "the bytes of a checkpoint", "8 or more", bytes);
  from(0, &size, sizeof size);
  require(size <= safetensors_header::most_bytes, "the bytes of a checkpoint's header", "at most 100000000", size);
  if (size > bytes - sizeof size)
    refuse("the bytes of a checkpoint's header", text("at most ", bytes - sizeof size), text(size));
  std::string header(std::size_t(size), ' ');
  from(sizeof size, header.data(), header.size());
  const std::uint64_t first = sizeof size + size;
  const auto h = safetensors_header::parse(std::move(header), bytes - first);

  for (fixed_text const& t : versions) expect(h, t.key, t.what, t.value);
  std::vector<std::vector<stored_tensor const*>> there;
  for (stored_object const& o : objects) there.push_back(tensors_of(h, o));
  std::vector<unsigned char> staging(std::size_t((std::min)(file_piece, bytes)));
  const auto check = [&](stored_tensor const& t, auto const& next) {
    expect(h, key_of_checksum(t.name), text("the checksum of '", t.name, "'"), sum_of_pieces(t.end - t.begin, next));
  };
  for (std::size_t k = 0; k < objects.size(); ++k)
    for (std::size_t i = 0; i < there[k].size(); ++i) {
      stored_tensor const& t = *there[k][i];
      const bool counts = objects[k].pieces[i].role == name_of(role::counter);
      check(t, [&](std::uint64_t at, std::size_t n) {
        from(first + t.begin + at, staging.data(), n);
        if (counts) check_counts(t.name, staging.data(), n);
        return staging.data();
      });
    }

  // From here on values change. What was checked is read once more, and could only have changed meanwhile.
  for (std::size_t k = 0; k < objects.size(); ++k)
    for (std::size_t i = 0; i < there[k].size(); ++i) {
      stored_tensor const& t = *there[k][i];
      unsigned char* const data = objects[k].pieces[i].data;
      check(t, [&](std::uint64_t at, std::size_t n) {
        unsigned char* const to = objects[k].in ? staging.data() : data + at;
        from(first + t.begin + at, to, n);
        if (objects[k].in) objects[k].in(data + at, to, n);
        return to;
      });
    }
  text_map notes = h.metadata;
  std::erase_if(notes, [](auto const& note) { return note.first.starts_with(own_keys); });
  return notes;
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
