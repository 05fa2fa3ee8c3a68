// SPDX-License-Identifier: Apache-2.0
/// @file A page that stands alone: text, tables and drawings in one HTML file, for screens of any width, light and
/// dark.
#pragma once
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace bench::report {

/// 60,000.25 with `decimals` digits, grouped, with a real minus sign.
std::string number(double x, int decimals);
std::string escape(std::string const& text);

/// What was claimed before measuring, and what came out; `met` is empty when nothing is judged.
struct expectation {
  std::string claim, expected, measured;
  std::optional<bool> met;
};
char const* verdict(expectation const& e);

/// How something looks in every figure: one of four colours that colour-blind readers can tell apart, and one of three
/// strokes and markers for relatives that share a colour.
struct look {
  int hue = 0, texture = 0;
};

struct axis {
  std::string label;
  int decimals = 0;
  bool logarithmic = false;
};

/// `low` and `high` bound a band around `y`; empty without one.
struct series {
  std::string name;
  look style;
  std::vector<double> x, y, low, high;
};
/// Mean, least and most of several runs at the same x.
series over_runs(std::string name, look style, std::vector<double> x, std::vector<std::vector<double>> const& runs);

struct figure {
  std::string title, caption;
  bool wide = true;  ///< takes the whole width of a large screen, not half
};
struct line_figure : figure {
  axis x, y;
  std::vector<series> lines;
  double tolerance = 0;  ///< shades |y| <= tolerance
};
/// One dot for each series.
struct dot_figure : figure {
  axis x, y;
  std::vector<series> dots;
};
struct bar {
  std::string name;
  look style;
  double value, limit;
  std::string text;  ///< beside the bar
};
struct bar_figure : figure {
  axis x;
  std::string limit_name;
  std::vector<bar> bars;
};

struct tile {
  std::string value, meaning;
};
struct table {
  std::vector<std::string> head;  ///< may hold HTML
  std::vector<std::vector<std::string>> rows;
  std::string caption;
};

/// A chapter of the page, written from top to bottom.
class section {
 public:
  section(std::string name, std::string title);
  section& text(std::string const& html);
  section& heading(std::string const& title);
  section& tiles(std::vector<tile> const& all);
  section& expect(std::vector<expectation> all);
  section& add(line_figure const& f);
  section& add(dot_figure const& f);
  section& add(bar_figure const& f);
  section& add(table const& t);

  std::string const& name() const { return name_; }
  std::string const& title() const { return title_; }
  std::vector<expectation> const& expectations() const { return expectations_; }
  std::string html() const;

 private:
  section& add_figure(figure const& f, std::string const& large, std::string const& small);
  section& write(std::string const& html);
  std::string name_, title_, body_;
  bool among_figures_ = false;
  std::vector<expectation> expectations_;
};

/// `made_by` says what produced the figures: version, compiler, machine.
std::string page(std::vector<section> const& sections, std::string const& made_by, bool quick);

}  // namespace bench::report
