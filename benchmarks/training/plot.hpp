// SPDX-License-Identifier: Apache-2.0
/// @file Drawings as SVG, for a given width in pixels.
#pragma once
#include <string>

#include "training/report.hpp"

namespace bench::report {

inline constexpr double full_width = 960, half_width = 468, phone_width = 342;

std::string draw(line_figure const& f, double width);
std::string draw(dot_figure const& f, double width);
std::string draw(bar_figure const& f, double width);

}  // namespace bench::report
