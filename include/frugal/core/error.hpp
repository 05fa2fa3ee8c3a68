// SPDX-License-Identifier: Apache-2.0
/// @file Errors. Host code throws (or aborts, where exceptions are off: docs/contracts.md); device code never does.
#pragma once
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "types.hpp"

namespace frugal {
inline namespace v0 {

/// A caller's mistake: wrong size, null, aliasing, a hyper-parameter out of range, a foreign or damaged state.
/// The object that throws it is unchanged.
class invalid_argument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A call into a device runtime that failed.
class device_error : public std::runtime_error {
 public:
  device_error(std::string const& vendor, std::string const& call, int code, std::string const& text)
      : std::runtime_error("frugal: " + vendor + ": " + call + " failed with code " + std::to_string(code) + ": " +
                           text),
        code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

namespace detail {
/// What FRUGAL_THROW is without exceptions.
[[noreturn, gnu::cold]] inline void die(char const* text) {
  std::fputs(text, stderr);
  std::fputc('\n', stderr);
  std::abort();
}

inline std::string text(std::string s) { return s; }
inline std::string text(char const* s) { return s; }
template <std::integral Int>
std::string text(Int n) {
  return std::to_string(n);
}
inline std::string text(double x) {  // six digits, without trailing zeros: 0.9, 1e-08
  char s[32];
  std::snprintf(s, sizeof s, "%g", x);
  return s;
}
/// Several in a row.
template <class A, class B, class... More>
std::string text(A const& a, B const& b, More const&... more) {
  std::string s = text(a);
  s += text(b);
  ((s += text(more)), ...);
  return s;
}
}  // namespace detail

/// Throws invalid_argument with what it is about, what was expected and what was got.
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse(std::string const& what, std::string const& expected,
                                                          std::string const& got) {
  FRUGAL_THROW(invalid_argument("frugal: " + what + ": expected " + expected + ", got " + got));
}

/// The one check of arguments: what it is about, what was expected, what was got. Texts are made when it fails only;
/// where one must be composed, ask first and call refuse().
template <class What, class Expected, class Got>
inline void require(bool ok, What const& what, Expected const& expected, Got const& got) {
  if (!ok) [[unlikely]]
    refuse(detail::text(what), detail::text(expected), detail::text(got));
}

/// lo <= x < hi (or <= hi); a NaN is outside of every interval.
inline void require_range(char const* what, double x, double lo, double hi, bool closed = false) {
  if (!(x >= lo && (closed ? x <= hi : x < hi))) [[unlikely]]
    refuse(what, detail::text("[", lo, ", ", hi, closed ? "]" : ")"), detail::text(x));
}
}  // namespace v0
}  // namespace frugal
