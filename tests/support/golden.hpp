// SPDX-License-Identifier: Apache-2.0
// Reads the files of tests/golden; golden/common.py describes their format.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace frugal_test {

// The lines of one case: for each key its occurrences, in their order. Whatever is missing or malformed throws.
class golden_case {
 public:
  std::string name;

  std::size_t count(std::string const& key) const {
    const auto it = lines_.find(key);
    return it == lines_.end() ? 0 : it->second.size();
  }
  std::vector<std::string> const& words(std::string const& key, std::size_t at = 0) const {
    if (at >= count(key)) throw std::runtime_error("golden case " + name + ": no line " + key);
    return lines_.at(key)[at];
  }
  template <class T>
  std::vector<T> numbers(std::string const& key, std::size_t at = 0) const {
    std::vector<T> out;
    for (std::string const& word : words(key, at)) out.push_back(parse<T>(word));
    return out;
  }
  template <class T>
  T number(std::string const& key, std::size_t at = 0) const {
    return parse<T>(words(key, at).at(0));
  }
  // A value of the line `config key=value key=value ...`.
  double config(std::string const& key) const {
    for (std::string const& word : words("config"))
      if (word.starts_with(key + "=")) return parse<double>(word.substr(key.size() + 1));
    throw std::runtime_error("golden case " + name + ": no " + key + " in its config");
  }
  // A string of two hexadecimal digits a byte.
  std::vector<std::uint8_t> codes(std::string const& key, std::size_t at = 0) const {
    std::string const& digits = words(key, at).at(0);
    std::vector<std::uint8_t> out;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
      out.push_back(std::uint8_t(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return out;
  }
  void add(std::string const& key, std::vector<std::string> line) { lines_[key].push_back(std::move(line)); }

 private:
  template <class T>
  T parse(std::string const& word) const {
    char* end = nullptr;
    T value;
    if constexpr (std::is_floating_point_v<T>) value = T(std::strtod(word.c_str(), &end));
    else if constexpr (std::is_signed_v<T>) value = T(std::strtoll(word.c_str(), &end, 10));
    else value = T(std::strtoull(word.c_str(), &end, 10));
    if (word.empty() || *end != 0) throw std::runtime_error("golden case " + name + ": not a number: " + word);
    return value;
  }
  std::map<std::string, std::vector<std::vector<std::string>>> lines_;
};

inline std::vector<golden_case> read_golden(std::string const& file) {
  std::string path = FRUGAL_GOLDEN_DIR "/";  // g++ 12 takes a chain of + for an overflow, at some lengths of the path
  path += file;
  std::ifstream in(path);
  if (!in) throw std::runtime_error("golden file " + file + " cannot be read");
  std::vector<golden_case> cases;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    std::vector<std::string> rest;
    for (std::string word; words >> word;) rest.push_back(word);
    if (key == "case") {
      cases.emplace_back();
      cases.back().name = rest.at(0);
    } else {
      if (cases.empty()) throw std::runtime_error("golden file " + file + " has no case");
      cases.back().add(key, std::move(rest));
    }
  }
  if (cases.empty()) throw std::runtime_error("golden file " + file + " has no case");
  return cases;
}

}  // namespace frugal_test
