// SPDX-License-Identifier: Apache-2.0
// Checkpoints from somewhere else: taken exactly if a second reader of the format takes them, and then every value is
// the one in the file; what is refused changes nothing.
#include <frugal/backend/serial.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <optional>
#include <set>

#include "fuzz.hpp"

namespace {
using namespace frugal_fuzz;
namespace detail = frugal::detail;

// ---- the second reader: with a parser of its own --------------------------------------------------------------------
struct refused {};
void want(bool ok) {
  if (!ok) throw refused{};
}
// As much of JSON as a header is made of: objects, arrays, texts and numbers without a sign.
struct json {
  enum { object, array, text, number } kind;
  std::string s;
  std::uint64_t n = 0;
  std::vector<json> items;
  std::map<std::string, json> fields;
};
class json_text {
 public:
  explicit json_text(std::string const& s) : s_(s) {}
  json whole() {
    json v = value(0);
    skip();
    want(i_ == s_.size());
    return v;
  }

 private:
  void skip() {
    while (i_ < s_.size() && s_[i_] == ' ') ++i_;
  }
  unsigned byte() { return want(i_ < s_.size()), std::uint8_t(s_[i_++]); }
  bool next_is(char c) {
    skip();
    return i_ < s_.size() && s_[i_] == c ? ++i_, true : false;
  }
  json value(int depth) {
    want(depth < 5);
    json v;
    if (next_is('{')) {
      v.kind = json::object;
      for (bool first = true; !next_is('}'); first = false) {
        want(first || next_is(','));
        want(next_is('"'));
        std::string key = rest_of_string();
        want(next_is(':'));
        want(v.fields.emplace(std::move(key), value(depth + 1)).second);
      }
    } else if (next_is('[')) {
      v.kind = json::array;
      for (bool first = true; !next_is(']'); first = false) {
        want(first || next_is(','));
        v.items.push_back(value(depth + 1));
      }
    } else if (next_is('"')) {
      v.kind = json::text, v.s = rest_of_string();
    } else {
      v.kind = json::number;
      const std::size_t begin = i_;
      for (; i_ < s_.size() && s_[i_] >= '0' && s_[i_] <= '9'; ++i_) {
        const auto digit = std::uint64_t(s_[i_] - '0');
        want(v.n <= (~std::uint64_t(0) - digit) / 10);
        v.n = 10 * v.n + digit;
      }
      want(i_ > begin && (s_[begin] != '0' || i_ == begin + 1));
    }
    return v;
  }
  unsigned hex4() {
    unsigned x = 0;
    for (int k = 0; k < 4; ++k) {
      const unsigned c = byte();
      want((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
      x = 16 * x + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return x;
  }
  static void append(std::string& to, unsigned point) {
    if (point < 0x80) to += char(point);
    else if (point < 0x800) (to += char(0xc0 | point >> 6)) += char(0x80 | (point & 63));
    else if (point < 0x10000)
      ((to += char(0xe0 | point >> 12)) += char(0x80 | (point >> 6 & 63))) += char(0x80 | (point & 63));
    else
      (((to += char(0xf0 | point >> 18)) += char(0x80 | (point >> 12 & 63))) += char(0x80 | (point >> 6 & 63))) +=
          char(0x80 | (point & 63));
  }
  std::string rest_of_string() {
    std::string out;
    for (unsigned c; (c = byte()) != '"';) {
      if (c == '\\') {
        const unsigned e = byte();
        const std::string names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
        if (const auto at = names.find(char(e)); at != std::string::npos) {
          out += values[at];
          continue;
        }
        want(e == 'u');
        unsigned point = hex4();
        want(!(point >= 0xdc00 && point < 0xe000));
        if (point >= 0xd800 && point < 0xdc00) {
          want(byte() == '\\' && byte() == 'u');
          const unsigned low = hex4();
          want(low >= 0xdc00 && low < 0xe000);
          point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
        }
        append(out, point);
      } else if (c < 0x80) {
        out += char(c);
      } else {  // UTF-8: the shortest form of a code point that is no surrogate
        const int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        want(c >= 0xc0 && c < 0xf8);
        unsigned point = c & (0x3fu >> more);
        for (int k = 0; k < more; ++k) {
          const unsigned next = byte();
          want(next >= 0x80 && next < 0xc0);
          point = point << 6 | (next & 63);
        }
        const unsigned least[] = {0x80, 0x800, 0x10000};
        want(point >= least[more - 1] && point < 0x110000 && !(point >= 0xd800 && point < 0xe000));
        append(out, point);
      }
    }
    return out;
  }
  std::string const& s_;
  std::size_t i_ = 0;
};

struct found {
  std::string dtype, role;
  std::vector<std::uint64_t> shape;
  bytes data;
};
struct contents {
  std::map<std::string, std::string> algorithms, layouts, notes;
  std::map<std::string, found> tensors;
};
contents contents_of(bytes const& b) {
  want(b.size() >= 8);
  const std::uint64_t n = field(b, 0, 8);
  want(n <= 100000000 && n <= b.size() - 8);
  std::string s(b.begin() + 8, b.begin() + 8 + index_t(n));
  const std::string mark = "{\"__metadata__\":{\"frugal.checksum\":\"";
  want(s.size() > mark.size() + 16 && s.substr(0, mark.size()) == mark);
  std::string zeroed = s;
  zeroed.replace(mark.size(), 16, "0000000000000000");
  char sum[17];
  std::snprintf(sum, sizeof sum, "%016llx", static_cast<unsigned long long>(frugal::word_hash(zeroed.data(), n)));
  want(s.substr(mark.size(), 16) == sum);
  for (char c : s) want(!(c >= 0 && c < 32));
  json h = json_text(s).whole();
  contents out;
  want(h.kind == json::object && h.fields["__metadata__"].kind == json::object);
  std::map<std::string, std::string> metadata;
  for (auto const& [key, value] : h.fields["__metadata__"].fields) {
    want(value.kind == json::text);
    metadata[key] = value.s;
    if (key.substr(0, 7) != "frugal.") out.notes[key] = value.s;
  }
  want(metadata["frugal.format"] == "1" && metadata["frugal.random_format"] == "1");
  h.fields.erase("__metadata__");
  std::map<std::uint64_t, std::uint64_t> places;  // of those that are not empty, and where they end
  std::set<std::uint64_t> begins, ends{0};
  std::uint64_t all = 0;
  const std::map<std::string, std::uint64_t> widths{{"F64", 8},  {"I64", 8}, {"F32", 4},
                                                    {"BF16", 2}, {"F16", 2}, {"U8", 1}};
  for (auto& [name, t] : h.fields) {
    want(t.kind == json::object && t.fields.size() == 3 && t.fields.count("dtype") && t.fields.count("shape") &&
         t.fields.count("data_offsets"));
    json const &dtype = t.fields["dtype"], &shape = t.fields["shape"], &offsets = t.fields["data_offsets"];
    want(dtype.kind == json::text && widths.count(dtype.s));
    want(shape.kind == json::array && offsets.kind == json::array && offsets.items.size() == 2);
    found f{dtype.s, "", {}, {}};
    __extension__ unsigned __int128 size = 1;
    for (json const& extent : shape.items) {
      want(extent.kind == json::number && extent.n <= std::uint64_t(1) << 60);
      size *= extent.n;
      want(size <= std::uint64_t(1) << 60);
      f.shape.push_back(extent.n);
    }
    want(offsets.items[0].kind == json::number && offsets.items[1].kind == json::number);
    const std::uint64_t begin = offsets.items[0].n, end = offsets.items[1].n, data = b.size() - 8 - n;
    want(begin <= end && end <= data && end - begin == size * widths.at(f.dtype));
    all += end - begin;
    if (begin < end) want(places.emplace(begin, end).second && ends.insert(end).second);
    begins.insert(begin);
    f.data.assign(b.begin() + 8 + index_t(n + begin), b.begin() + 8 + index_t(n + end));
    out.tensors[name] = f;
  }
  want(all == b.size() - 8 - n);  // with the next line: no hole, no overlap
  for (std::uint64_t begin : begins) want(ends.count(begin));
  for (auto& [name, f] : out.tensors) f.role = metadata["frugal.role." + name];
  for (auto const& [key, value] : metadata) {
    if (key.substr(0, 17) == "frugal.algorithm.") out.algorithms[key.substr(17)] = value;
    if (key.substr(0, 14) == "frugal.layout.") out.layouts[key.substr(14)] = value;
  }
  // Only the sums of what is read count.
  for (auto& [name, f] : out.tensors)
    if (metadata["frugal.checksum." + name] !=
        detail::hex(f.data.empty() ? 0 : frugal::word_hash(f.data.data(), f.data.size())))
      f.dtype = "damaged";
  return out;
}

// ---- objects --------------------------------------------------------------------------------------------------------
struct everything {
  frugal::serial_backend cpu;
  frugal::layout l{{"w", {3, 2}}, {"b", {2}}};
  frugal::adamw<frugal::serial_backend, frugal::blockwise8> coded{cpu, l, {}, frugal::blockwise8{.min_size = 4}};
  frugal::lion<frugal::serial_backend> plain{cpu, l};
  floats x = numbers(8, 1);
  std::vector<frugal::bf16> half{{1}, {2}, {3}};
  frugal::checkpoint file;

  everything(int steps, bool few) {
    for (int t = 0; t < steps; ++t) coded.step(x, numbers(8, std::uint64_t(t))), plain.step(x, numbers(8, 7));
    file.add("p", plain).add("x", cpu, l, x);
    if (!few) file.add("c", coded).add("h", cpu, frugal::layout({{"", {1, 3}}}), half);
    file.notes()["k"] = std::to_string(steps);
  }
};

// Would the second reader's findings be a state of these objects?
bool fits(contents const& c, frugal::snapshot const& s, std::string const& name) {
  if (!c.algorithms.count(name) || c.algorithms.at(name) != s.algorithm) return false;
  if (!c.layouts.count(name) || c.layouts.at(name) != detail::hex(s.layout)) return false;
  std::size_t count = 0;
  for (auto const& [key, f] : c.tensors) count += key.substr(0, name.size() + 1) == name + ".";
  if (count != s.pieces.size()) return false;
  char const* const roles[] = {"counter", "clock", "moment", "codes", "scales"};
  for (auto const& p : s.pieces) {
    const auto at = c.tensors.find(name + "." + p.name);
    const std::map<std::string, std::string> types{
        {"float", "F32"}, {"double", "F64"}, {"int64", "I64"}, {"uint8", "U8"}};
    if (at == c.tensors.end() || at->second.dtype != types.at(p.type) || at->second.role != roles[int(p.role)] ||
        at->second.shape != std::vector<std::uint64_t>{std::uint64_t(p.count)})
      return false;
    if (p.role == frugal::role::counter && field(at->second.data, 0, 8) > std::uint64_t(1) << 62) return false;
  }
  return true;
}
bool is_in(contents const& c, frugal::snapshot const& s, std::string const& name) {
  for (auto const& p : s.pieces)
    if (c.tensors.at(name + "." + p.name).data != p.bytes) return false;
  return true;
}
bool fits(contents const& c, frugal::layout const& l, std::string const& name, char const* dtype) {
  if (!c.algorithms.count(name) || c.algorithms.at(name) != "parameters") return false;
  if (!c.layouts.count(name) || c.layouts.at(name) != detail::hex(l.hash())) return false;
  std::size_t count = 0;
  for (auto const& [key, f] : c.tensors) count += key.substr(0, name.size() + 1) == name + ".";
  for (auto const& t : l.tensors()) {
    const auto at = c.tensors.find(name + "." + t.name);
    if (at == c.tensors.end() || at->second.dtype != dtype || at->second.role != "weights" ||
        at->second.shape != std::vector<std::uint64_t>(t.shape.begin(), t.shape.end()))
      return false;
  }
  return count == l.tensors().size();
}
template <class T>
bool is_in(contents const& c, frugal::layout const& l, std::string const& name, std::vector<T> const& x) {
  for (auto const& t : l.tensors()) {
    bytes const& data = c.tensors.at(name + "." + t.name).data;
    if (!data.empty() && memcmp(data.data(), x.data() + t.offset, data.size()) != 0) return false;
  }
  return true;
}

// ---- inputs: a true file, changed -----------------------------------------------------------------------------------
const std::string tokens[] = {"",
                              "\"",
                              "{",
                              "}",
                              "[",
                              "]",
                              ",",
                              ":",
                              "0",
                              "1",
                              "2",
                              "8",
                              "-1",
                              "1.0",
                              "1e3",
                              "4294967296",
                              "1152921504606846976",
                              "1152921504606846977",
                              "2305843009213693952",
                              "9223372036854775807",
                              "9223372036854775808",
                              "18446744073709551608",
                              "18446744073709551615",
                              "18446744073709551616",
                              "null",
                              "true",
                              "{}",
                              "[]",
                              "\"\"",
                              " ",
                              "\n",
                              std::string(1, '\0'),
                              "\\u0000",
                              "\xff",
                              "\xc3\xa9",
                              "\"__metadata__\":{},",
                              "\"dtype\":\"F32\"",
                              "\"dtype\":\"BF16\"",
                              "\"shape\":[0]",
                              "\"shape\":[]",
                              "\"data_offsets\":[0,0]",
                              "F64",
                              "I64",
                              "F32",
                              "BF16",
                              "U8",
                              "I32",
                              "p.",
                              "x.",
                              "c.",
                              "h.",
                              "frugal.",
                              "frugal.role.",
                              "frugal.checksum.",
                              "\"k\":\"v\",",
                              ",\"p.z\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                              "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                              "\"a\":{\"dtype\":\"U8\",\"shape\":[0,1152921504606846976,9],\"data_offsets\":[8,8]},"};

// The offsets of a tensor as a header has them, and where their text is; from `at` on.
struct place {
  std::size_t text = std::string::npos, length = 0;
  std::uint64_t begin = 0, end = 0;
};
place place_after(std::string const& header, std::size_t at) {
  const std::string key = "\"data_offsets\":[";
  place p;
  const std::size_t found = header.find(key, at);
  int length = 0;
  unsigned long long begin = 0, end = 0;
  if (found == std::string::npos) return p;
  if (std::sscanf(header.c_str() + found + key.size(), "%19llu,%19llu%n", &begin, &end, &length) == 2)
    p = {found + key.size(), std::size_t(length), begin, end};
  return p;
}
// Makes each tensor's checksum that of its bytes.
void repair_sums(std::string& header, bytes const& data) {
  const std::string key = "\"frugal.checksum.";
  for (std::size_t at = header.find(key); at != std::string::npos; at = header.find(key, at + 1)) {
    const std::size_t name = at + key.size(), sum = header.find("\":\"", name);
    if (sum == std::string::npos || sum + 4 + 16 > header.size()) return;
    const std::size_t tensor = header.find("\"" + header.substr(name, sum - name) + "\":{");
    const place p = tensor == std::string::npos ? place{} : place_after(header, tensor);
    if (p.begin < p.end && p.end <= data.size())
      header.replace(sum + 4, 16, detail::hex(frugal::word_hash(data.data() + p.begin, p.end - p.begin)));
  }
}

bytes some_file(script& s, bytes const& good) {
  if (s.below(16) == 0) return s.rest();
  const std::uint64_t n = field(good, 0, 8);
  std::string header(good.begin() + 8, good.begin() + 8 + index_t(n));
  bytes data(good.begin() + 8 + index_t(n), good.end());
  const auto part = [&](index_t most) {  // of the header
    const auto at = std::size_t(s.number(2)) % (header.size() + 1);
    return std::pair{at, std::min(std::size_t(s.below(most)), header.size() - at)};
  };
  for (index_t edits = s.below(6); edits > 0; --edits) {
    switch (s.below(9)) {
      case 0: {  // a token
        const auto [at, count] = part(24);
        header.replace(at, count, tokens[std::size_t(s.number()) % std::size(tokens)]);
        break;
      }
      case 1: {  // a token in place of what is between two of these
        std::size_t at = std::size_t(s.number(2)) % (header.size() + 1);
        at = header.find_first_of("\":,[]{}", at);
        if (at == std::string::npos) break;
        const std::size_t end = header.find_first_of("\":,[]{}", at + 1);
        if (end != std::string::npos)
          header.replace(at + 1, end - at - 1, tokens[std::size_t(s.number()) % std::size(tokens)]);
        break;
      }
      case 2: {  // a piece once more, elsewhere
        const auto [at, count] = part(256);
        const std::string again = header.substr(at, count);
        header.insert(std::size_t(s.number(2)) % (header.size() + 1), again);
        break;
      }
      case 3: {  // a byte
        const auto [at, count] = part(2);
        if (at < header.size()) header[at] = char(s.number());
        break;
      }
      case 4:
        if (!data.empty()) data[std::size_t(s.number(2)) % data.size()] ^= std::uint8_t(s.number());
        break;
      case 5:
        data.resize(std::size_t(s.number(2)) % (data.size() + 20));
        break;
      case 7: {  // a tensor elsewhere, or longer
        const place p = place_after(header, std::size_t(s.number(2)) % (header.size() + 1));
        if (p.text == std::string::npos) break;
        const std::uint64_t by = s.number(), longer = s.flag() ? s.number() : 0;
        header.replace(p.text, p.length,
                       detail::text(p.begin + by - 128, ",", p.end + by - 128 + (longer == 0 ? 0 : longer - 128)));
        break;
      }
      case 8: {  // a tensor of another length at the end of the file
        const auto more = std::uint64_t(s.below(20));
        const std::size_t end = header.rfind('}');
        if (end == std::string::npos) break;
        header.insert(end, detail::text(",\"", tokens[std::size_t(s.number()) % std::size(tokens)],
                                        "z\":{\"dtype\":\"U8\",\"shape\":[", more, "],\"data_offsets\":[", data.size(),
                                        ",", data.size() + more, "]}"));
        data.resize(data.size() + more);
        break;
      }
      case 6:  // text
        for (auto [at, count] = part(32); count > 0; --count) header.insert(at, 1, char(s.number()));
        break;
    }
  }
  const index_t repair = s.below(4);
  if (repair >= 2) repair_sums(header, data);
  const std::size_t sum_at = 36;
  if (repair >= 1 && header.size() >= sum_at + 16) {
    header.replace(sum_at, 16, 16, '0');
    header.replace(sum_at, 16, detail::hex(frugal::word_hash(header.data(), header.size())));
  }
  bytes all(8 + header.size() + data.size());
  set_field(all, 0, 8, s.below(32) == 0 ? s.number(8) : header.size());
  std::copy(header.begin(), header.end(), all.begin() + 8);
  std::copy(data.begin(), data.end(), all.begin() + 8 + index_t(header.size()));
  return all;
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* input, std::size_t size) {
  static const bytes good = everything(3, false).file.to_bytes();
  static const bytes before[] = {everything(1, false).file.to_bytes(), everything(1, true).file.to_bytes()};
  script s(input, size);
  const bool few = s.flag();
  const bytes wire = some_file(s, good);

  everything o(1, few);
  std::optional<contents> expected;
  try {
    expected = contents_of(wire);
    bool fine = fits(*expected, save_state(o.plain), "p") && fits(*expected, o.l, "x", "F32");
    if (!few)
      fine = fine && fits(*expected, save_state(o.coded), "c") &&
             fits(*expected, frugal::layout({{"", {1, 3}}}), "h", "BF16");
    if (!fine) expected.reset();
  } catch (refused) {
    expected.reset();
  }
  bool taken = true;
  {
    const heap_use heap;
    try {
      o.file.from_bytes(wire);
    } catch (frugal::invalid_argument const&) {
      taken = false;
    }
    must(heap.bytes() <= 32 * wire.size() + 65536, "the memory that a file asks for");
  }
  must(taken == bool(expected), "a file is taken exactly if the second reader takes it");
  must(wire != good || taken, "a true file is taken");
  if (!taken) {
    must(o.file.to_bytes() == before[few], "what is refused changes nothing");
    return 0;
  }
  must(is_in(*expected, save_state(o.plain), "p") && is_in(*expected, o.l, "x", o.x), "states are those of the file");
  if (!few)
    must(is_in(*expected, save_state(o.coded), "c") && is_in(*expected, frugal::layout({{"", {1, 3}}}), "h", o.half),
         "states are those of the file");
  must(std::equal(o.file.notes().begin(), o.file.notes().end(), expected->notes.begin(), expected->notes.end()),
       "notes are those of the file");
  const bytes after = o.file.to_bytes();
  o.file.from_bytes(after);
  must(o.file.to_bytes() == after, "what was written is read");
  return 0;
}
