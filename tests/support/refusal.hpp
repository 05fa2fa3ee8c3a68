// SPDX-License-Identifier: Apache-2.0
// A call that must throw, and what its message must say.
#pragma once
#include <gtest/gtest.h>

#include <frugal/core/error.hpp>

namespace frugal_test {

template <class Error, class F>
testing::AssertionResult throws(F const& f, std::initializer_list<std::string> says) {
  try {
    f();
  } catch (Error const& e) {
    const std::string text = e.what();
    for (std::string const& part : says)
      if (text.find(part) == std::string::npos)
        return testing::AssertionFailure() << "the message lacks \"" << part << "\": " << text;
    return testing::AssertionSuccess();
  } catch (std::exception const& e) {
    return testing::AssertionFailure() << "another exception: " << e.what();
  }
  return testing::AssertionFailure() << "nothing was thrown";
}

// f() is refused, and the message says what it is about, what was expected and what was got.
template <class F>
testing::AssertionResult refused(F const& f, std::string const& about, std::string const& expected,
                                 std::string const& got) {
  return throws<frugal::invalid_argument>(f, {"frugal: ", about, ": expected " + expected, ", got " + got});
}

}  // namespace frugal_test
