// SPDX-License-Identifier: Apache-2.0
/// @file The header of a safetensors file as checkpoints have it, from and to text. The format:
/// https://huggingface.co/docs/safetensors
///
///     8 bytes    N, little-endian, at most 100 000 000
///     N bytes    JSON: {"__metadata__": {text: text ...}, name: {"dtype", "shape", "data_offsets": [begin, end]} ...},
///                filled up with spaces
///     the rest   tensors, row by row, little-endian, without holes
///
/// Whatever a text from somewhere else says is refused unless it is such a header.
#pragma once
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/hash.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

static_assert(std::endian::native == std::endian::little,
              "frugal: files are little-endian; no other host is served yet");

enum class dtype : std::uint8_t { f64, i64, f32, bf16, f16, u8 };  // wide ones first: so they are aligned in the file
struct dtype_info {
  char const* name;
  int bytes;
};
inline constexpr dtype_info dtypes[] = {{"F64", 8}, {"I64", 8}, {"F32", 4}, {"BF16", 2}, {"F16", 2}, {"U8", 1}};
constexpr dtype_info const& info(dtype t) { return dtypes[int(t)]; }
template <class T>
constexpr dtype dtype_of() {
  if constexpr (std::is_same_v<T, double>) return dtype::f64;
  else if constexpr (std::is_same_v<T, std::int64_t>) return dtype::i64;
  else if constexpr (std::is_same_v<T, float>) return dtype::f32;
  else if constexpr (std::is_same_v<T, bf16>) return dtype::bf16;
  else if constexpr (std::is_same_v<T, half>) return dtype::f16;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return dtype::u8;
  else static_assert(sizeof(T) == 0, "frugal: checkpoints have no such element type");
}

inline std::string hex(std::uint64_t x) {
  char s[17];
  std::snprintf(s, sizeof s, "%016llx", static_cast<unsigned long long>(x));
  return s;
}
inline std::string shape_text(std::vector<index_t> const& shape) {
  std::string s = "[";
  for (index_t n : shape) s.append(s.size() > 1 ? ", " : "").append(std::to_string(n));
  return s += "]";
}

/// What a text from a file says, for messages: its beginning, without what a terminal might obey.
inline std::string shown(std::string const& s) {
  std::string out;
  for (char c : s.substr(0, 60)) out += c >= 32 && c < 127 ? c : '?';
  return out.append(s.size() > 60 ? "..." : "");
}

struct stored_tensor {
  std::string name;
  dtype type{};
  std::vector<index_t> shape;
  std::uint64_t begin = 0, end = 0;  // after the header
};

using text_map = std::map<std::string, std::string, std::less<>>;

struct safetensors_header {
  static constexpr std::uint64_t most_bytes = 100'000'000;
  static constexpr std::string_view mark = R"({"__metadata__":{"frugal.checksum":")";  // then 16 digits
  static constexpr std::size_t digits = 16;

  text_map metadata;                   // but for the checksum
  std::vector<stored_tensor> tensors;  // one after the other

  /// The text, N a multiple of 8.
  std::string render() const {
    std::string s(mark);
    s.append(digits, '0').append("\"");
    for (auto const& [key, value] : metadata) s.append(",").append(quoted(key)).append(":").append(quoted(value));
    s += "}";
    for (stored_tensor const& t : tensors) {
      s.append(",").append(quoted(t.name)).append(R"(:{"dtype":")").append(info(t.type).name).append(R"(","shape":[)");
      for (std::size_t k = 0; k < t.shape.size(); ++k) s.append(k ? "," : "").append(std::to_string(t.shape[k]));
      s.append(R"(],"data_offsets":[)").append(std::to_string(t.begin)).append(",").append(std::to_string(t.end));
      s.append("]}");
    }
    s += "}";
    s.append((8 - s.size() % 8) % 8, ' ');
    require(s.size() <= most_bytes, "the header of a checkpoint", "at most 100000000 bytes", s.size());
    return s.replace(mark.size(), digits, hex(word_hash(s.data(), s.size())));
  }
  /// @param s      the N bytes, which are changed
  /// @param bytes  those after them
  static safetensors_header parse(std::string s, std::uint64_t bytes);

 private:
  static std::string quoted(std::string const& s) {
    try {
      return nlohmann::json(s).dump();
    } catch (nlohmann::json::exception const&) {
      refuse("a text in a checkpoint", "UTF-8", "other bytes");
    }
  }
};

/// What the JSON parser tells its events to. Takes what a header is made of, in the order that it may come in, and
/// nothing else: what it keeps is the header, and what nests deeper ends there.
class header_reader {
 public:
  explicit header_reader(safetensors_header& to) : to_(to) {}

  bool key(std::string& s) {
    switch (at_) {
      case in::header:
        if (s == "__metadata__") {
          if (std::exchange(metadata_, true)) refuse("the metadata of a checkpoint", "one object", "two");
          return go(in::before_metadata);
        }
        to_.tensors.emplace_back().name = std::move(s);
        seen_ = 0;
        return go(in::before_tensor);
      case in::metadata:
        key_ = std::move(s);
        return go(in::text);
      case in::tensor:
        for (int k = 0; k < 3; ++k)
          if (s == fields[k]) {
            if (seen_ >> k & 1) refuse(about(), "each field once", text("two ", s));
            seen_ |= 1u << k;
            return go(k == 0 ? in::dtype : k == 1 ? in::before_shape : in::before_offsets);
          }
        refuse(about(), "dtype, shape and data_offsets", shown(s));
      default:
        return wrong("a name");
    }
  }
  bool string(std::string& s) {
    if (at_ == in::text) {
      if (!to_.metadata.emplace(std::move(key_), std::move(s)).second)
        refuse("the metadata of a checkpoint", "each key once", "one twice");
      return go(in::metadata);
    }
    if (at_ != in::dtype) return wrong("a text");
    for (std::size_t k = 0; k < std::size(dtypes); ++k)
      if (s == dtypes[k].name) {
        to_.tensors.back().type = dtype(k);
        return go(in::tensor);
      }
    refuse(text("the dtype of ", about()), "F64, I64, F32, BF16, F16 or U8", shown(s));
  }
  bool number_unsigned(std::uint64_t x) {
    if (at_ == in::shape) {
      if (x > std::uint64_t(most_elements)) refuse(text("an extent of ", about()), "at most 2^60", text(x));
      to_.tensors.back().shape.push_back(index_t(x));
    } else if (at_ == in::begin || at_ == in::end) {
      (at_ == in::begin ? to_.tensors.back().begin : to_.tensors.back().end) = x;
      at_ = at_ == in::begin ? in::end : in::after_end;
    } else {
      return wrong("a number");
    }
    return true;
  }
  bool start_object(std::size_t) {
    if (at_ == in::nothing) return go(in::header);
    if (at_ == in::before_metadata) return go(in::metadata);
    return at_ == in::before_tensor ? go(in::tensor) : wrong("an object");
  }
  bool end_object() {
    if (at_ == in::tensor && seen_ != 7) refuse(about(), "dtype, shape and data_offsets", "its end");
    return go(at_ == in::header ? in::nothing : in::header);
  }
  bool start_array(std::size_t) {
    if (at_ == in::before_shape) return go(in::shape);
    return at_ == in::before_offsets ? go(in::begin) : wrong("an array");
  }
  bool end_array() { return at_ == in::shape || at_ == in::after_end ? go(in::tensor) : wrong("the end of an array"); }
  bool null() { return wrong("null"); }
  bool boolean(bool) { return wrong("a truth value"); }
  bool number_integer(std::int64_t) { return wrong("a negative number"); }
  bool number_float(double, std::string const&) { return wrong("a number that is not whole, or too large"); }
  bool binary(std::vector<std::uint8_t>&) { return wrong("bytes"); }
  template <class Exception>
  bool parse_error(std::size_t position, std::string const&, Exception const&) {
    refuse("the header of a checkpoint", "JSON in UTF-8", text("something else at byte ", position));
  }

  static constexpr index_t most_elements = index_t(1) << 60;

 private:
  static constexpr char const* fields[] = {"dtype", "shape", "data_offsets"};
  enum class in {
    nothing,
    header,
    before_metadata,
    metadata,
    text,
    before_tensor,
    tensor,
    dtype,
    before_shape,
    shape,
    before_offsets,
    begin,
    end,
    after_end
  };
  bool go(in to) { return at_ = to, true; }
  [[noreturn]] bool wrong(char const* got) { refuse("the header of a checkpoint", "that of a safetensors file", got); }
  std::string about() const { return text("tensor '", shown(to_.tensors.back().name), "'"); }

  safetensors_header& to_;
  in at_ = in::nothing;
  unsigned seen_ = 0;  // of fields
  bool metadata_ = false;
  std::string key_;
};

inline safetensors_header safetensors_header::parse(std::string s, std::uint64_t bytes) {
  require(s.size() > mark.size() + digits && s.compare(0, mark.size(), mark) == 0, "the header of a checkpoint",
          "one written by frugal", "another");
  const std::string sum = s.substr(mark.size(), digits);
  const std::string right = hex(word_hash(s.replace(mark.size(), digits, digits, '0').data(), s.size()));
  require(sum == right, "the checksum of a checkpoint's header", right, shown(sum));
  for (char c : s)  // a zero would end the parser's text before its end
    require(std::uint8_t(c) >= 32, "the header of a checkpoint", "JSON on one line", "a control character");
  safetensors_header h;
  header_reader reader(h);
  nlohmann::json::sax_parse(s.begin(), s.end(), &reader);
  h.metadata.erase("frugal.checksum");

  std::vector<std::string_view> names;
  for (stored_tensor const& t : h.tensors) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    refuse("the tensors of a checkpoint", "a name each", text("two '", shown(std::string(*twice)), "'"));
  std::stable_sort(h.tensors.begin(), h.tensors.end(), [](stored_tensor const& a, stored_tensor const& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t end = 0;
  for (stored_tensor const& t : h.tensors) {
    const auto about = [&](char const* what) { return text(what, " tensor '", shown(t.name), "'"); };
    if (t.begin != end) refuse(about("the offset of"), text(end, ", where the one before ends"), text(t.begin));
    index_t size = 1;
    for (index_t extent : t.shape) {
      if (extent != 0 && size > header_reader::most_elements / extent)
        refuse(about("the elements of"), "at most 2^60", "more");
      size *= extent;
    }
    const std::uint64_t expected = std::uint64_t(size) * std::uint64_t(info(t.type).bytes);
    if (t.end < t.begin || t.end - t.begin != expected)
      refuse(about("the bytes of"), text(expected), text("offsets ", t.begin, " and ", t.end));
    end = t.end;
  }
  require(end == bytes, "the bytes after a checkpoint's header", end, bytes);
  return h;
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
