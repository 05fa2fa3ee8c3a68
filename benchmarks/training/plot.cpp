// SPDX-License-Identifier: Apache-2.0
#include "training/plot.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <sstream>

namespace bench::report {
namespace {

constexpr double letter = 7.6;  // the widest of the usual fonts, on average, at 12 px and half bold

std::string px(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", x);
  return text;
}

/// An interval of values laid over an interval of pixels, with round numbers to label it by.
struct scale {
  enum kind { rounded, exact, logarithmic };  // rounded: out to the next labels; exact: ends where the values end

  scale(double least, double most, double pixel_from, double pixel_to, double spacing, kind k = rounded)
      : low(least), high(most > least ? most : least + 1), from(pixel_from), to(pixel_to), room(spacing / 2), of(k) {
    double const range = high - low, wanted = std::max(2.0, std::abs(to - from) / spacing);
    double const power = std::pow(10, std::floor(std::log10(range / wanted)));
    step = 10 * power;
    for (double m : {5.0, 2.0, 1.0})
      if (range / (m * power) <= wanted) step = m * power;
    if (of != rounded) return;
    low = std::floor(low / step + 1e-9) * step;
    high = std::ceil(high / step - 1e-9) * step;
  }
  double operator()(double v) const {
    double const share = of == logarithmic ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
    return from + share * (to - from);
  }
  template <class F>
  void ticks(F f) const {
    if (of == logarithmic) {
      double const decade = std::abs(to - from) / std::log10(high / low);
      std::vector<double> within{1};
      if (decade * std::log10(1.5) > room) within = {1, 2, 3, 5};
      else if (decade * std::log10(3.) > room) within = {1, 3};
      for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
        for (double m : within)
          if (m * power >= low && m * power <= high) f(m * power);
    } else {
      for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) f(k * step);
    }
  }

  double low, high, step, from, to, room;
  kind of;
};

class drawing {
 public:
  drawing(double width, double height, std::string const& title) {
    out_ << "<svg viewBox=\"0 0 " << px(width) << ' ' << px(height) << "\" role=\"img\" aria-label=\"" << escape(title)
         << "\">\n";
  }
  std::string finish() { return out_.str() + "</svg>\n"; }

  drawing& line(std::string const& classes, double x1, double y1, double x2, double y2) {
    out_ << "<line class=\"" << classes << "\" x1=\"" << px(x1) << "\" y1=\"" << px(y1) << "\" x2=\"" << px(x2)
         << "\" y2=\"" << px(y2) << "\"/>\n";
    return *this;
  }
  drawing& rect(std::string const& classes, double x, double y, double w, double h, double radius = 0) {
    out_ << "<rect class=\"" << classes << "\" x=\"" << px(x) << "\" y=\"" << px(y) << "\" width=\"" << px(w)
         << "\" height=\"" << px(h) << "\" rx=\"" << px(radius) << "\"/>\n";
    return *this;
  }
  drawing& text(std::string const& classes, double x, double y, std::string const& words) {
    out_ << "<text class=\"" << classes << "\" x=\"" << px(x) << "\" y=\"" << px(y) << "\">" << escape(words)
         << "</text>\n";
    return *this;
  }
  drawing& path(std::string const& element, std::string const& classes, std::string const& points,
                std::string const& tip = "") {
    out_ << '<' << element << " class=\"" << classes << "\" points=\"" << points << "\"><title>" << escape(tip)
         << "</title></" << element << ">\n";
    return *this;
  }
  drawing& marker(look style, double x, double y, std::string const& tip) {
    auto const corners = [&](std::initializer_list<std::array<double, 2>> of) {
      std::string points;
      for (auto [dx, dy] : of) points += px(x + dx) + ',' + px(y + dy) + ' ';
      return points;
    };
    std::string const classes = "marker h" + std::to_string(style.hue);
    if (style.texture == 0)
      out_ << "<circle class=\"" << classes << "\" cx=\"" << px(x) << "\" cy=\"" << px(y) << "\" r=\"5\"><title>"
           << escape(tip) << "</title></circle>\n";
    else if (style.texture == 1)
      path("polygon", classes, corners({{-4.5, -4.5}, {4.5, -4.5}, {4.5, 4.5}, {-4.5, 4.5}}), tip);
    else path("polygon", classes, corners({{0, -6}, {5.5, 4.5}, {-5.5, 4.5}}), tip);
    return *this;
  }

 private:
  std::ostringstream out_;
};

std::string stroke(look s) { return "stroke h" + std::to_string(s.hue) + " t" + std::to_string(s.texture); }
std::string ink(look s) { return "ink h" + std::to_string(s.hue); }

void frame(drawing& d, scale const& x, scale const& y, axis const& of_x, axis const& of_y, bool grid_x) {
  y.ticks([&](double v) {
    d.line("grid", x.from, y(v), x.to, y(v)).text("tick end", x.from - 8, y(v) + 4, number(v, of_y.decimals));
  });
  x.ticks([&](double v) {
    d.line(grid_x ? "grid" : "notch", x(v), grid_x ? y.to : y.from, x(v), y.from + (grid_x ? 0 : 5));
    d.text("tick middle", x(v), y.from + 20, number(v, of_x.decimals));
  });
  d.line("axis", x.from, y.from, x.to, y.from);
  d.text("label", 0, y.to - 14, of_y.label).text("label end", x.to, y.from + 38, of_x.label);
}

std::pair<double, double> extent(std::vector<series> const& all, std::vector<double> series::*values) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (series const& s : all)
    for (double v : s.*values) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  return {low, high};
}
/// From `least`, or 0 where the axis is not logarithmic, to `most`.
scale along_x(axis const& a, double least, double most, double to, double spacing) {
  return a.logarithmic ? scale(least, most, 44, to, 80, scale::logarithmic)
                       : scale(0, most, 44, to, spacing, scale::exact);
}
std::pair<double, double> extent_y(std::vector<series> const& all) {
  auto [low, high] = extent(all, &series::y);
  for (auto values : {&series::low, &series::high}) {
    auto const [l, h] = extent(all, values);
    low = std::min(low, l);
    high = std::max(high, h);
  }
  return {low, high};
}

/// Moves labels apart: in the order of their heights, at least `gap` from each other, within [top, bottom].
std::vector<double> spread(std::vector<double> const& wanted, double gap, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> at(wanted.size());
  double next = top;
  for (std::size_t k : order) next = (at[k] = std::max(wanted[k], next)) + gap;
  next = bottom;
  for (auto k = order.rbegin(); k != order.rend(); ++k) next = (at[*k] = std::min(at[*k], next)) - gap;
  return at;
}

std::string joined(scale const& x, scale const& y, std::vector<double> const& xs, std::vector<double> const& ys) {
  std::string points;
  for (std::size_t k = 0; k < xs.size(); ++k) points += px(x(xs[k])) + ',' + px(y(ys[k])) + ' ';
  return points;
}

}  // namespace

std::string draw(line_figure const& f, double width) {
  bool const phone = width<half_width, wide = width> half_width;
  std::size_t longest = 0;
  for (series const& s : f.lines) longest = std::max(longest, s.name.size());
  // Names stand beside the ends of their lines. A phone has no room for that, and lines by a logarithmic x end
  // anywhere: there they are on top.
  bool const on_top = phone || f.x.logarithmic;
  double const right = on_top ? 12 : 26 + letter * double(longest + (wide ? 6 : 0));
  int const columns = wide ? 4 : 2, rows = on_top ? (int(f.lines.size()) + columns - 1) / columns : 0;
  double const top = 30 + 20 * rows, height = (phone ? 250 : wide ? 380 : 290) + 20 * rows;
  drawing d(width, height, f.title);

  auto [y_low, y_high] = extent_y(f.lines);
  if (f.tolerance > 0) {
    y_low = std::min(y_low, -1.2 * f.tolerance);
    y_high = std::max(y_high, 1.2 * f.tolerance);
  }
  auto const [x_low, x_high] = extent(f.lines, &series::x);
  scale const x = along_x(f.x, x_low, x_high, width - right, 90);
  scale const y(y_low, y_high, height - 46, top, 44, f.y.logarithmic ? scale::logarithmic : scale::rounded);
  if (f.tolerance > 0) d.rect("tolerance", x.from, y(f.tolerance), x.to - x.from, y(-f.tolerance) - y(f.tolerance));
  frame(d, x, y, f.x, f.y, false);
  if (f.tolerance > 0) d.line("axis", x.from, y(0), x.to, y(0));

  for (series const& s : f.lines)
    if (!s.low.empty()) {
      std::vector<double> xs = s.x, ys = s.high;
      xs.insert(xs.end(), s.x.rbegin(), s.x.rend());
      ys.insert(ys.end(), s.low.rbegin(), s.low.rend());
      d.path("polygon", "band h" + std::to_string(s.style.hue), joined(x, y, xs, ys), s.name);
    }
  for (series const& s : f.lines) d.path("polyline", stroke(s.style), joined(x, y, s.x, s.y), s.name);

  if (on_top) {
    for (std::size_t k = 0; k < f.lines.size(); ++k) {
      double const at = 6 + width / columns * double(int(k) % columns), line = 14 + 20 * double(int(k) / columns);
      d.line(stroke(f.lines[k].style), at, line - 4, at + 26, line - 4)
          .text("name " + ink(f.lines[k].style), at + 34, line, f.lines[k].name);
    }
    return d.finish();
  }
  std::vector<double> ends;
  for (series const& s : f.lines) ends.push_back(y(s.y.back()));
  std::vector<double> const at = spread(ends, 17, top + 4, y.from - 6);
  for (std::size_t k = 0; k < f.lines.size(); ++k) {
    series const& s = f.lines[k];
    double const end = x(s.x.back());
    d.line("leader h" + std::to_string(s.style.hue), end + 3, ends[k], x.to + 18, at[k]);
    d.text("name " + ink(s.style), x.to + 23, at[k] + 4,
           wide ? s.name + "  " + number(s.y.back(), f.y.decimals + 1) : s.name);
  }
  return d.finish();
}

std::string draw(dot_figure const& f, double width) {
  bool const phone = width < half_width;
  double const height = phone ? 300 : width > half_width ? 340 : 320, top = 30;
  drawing d(width, height, f.title);
  auto const [y_low, y_high] = extent_y(f.dots);
  auto const [x_low, x_high] = extent(f.dots, &series::x);
  scale const x = along_x(f.x, x_low / 2, (f.x.logarithmic ? 1.4 : 1.08) * x_high, width - 14, phone ? 45 : 70),
              y(y_low, y_high, height - 46, top, 44);
  frame(d, x, y, f.x, f.y, true);

  struct box {
    double left, top, right, bottom;
    bool meets(box const& o) const { return left < o.right && o.left < right && top < o.bottom && o.top < bottom; }
  };
  std::vector<box> taken;
  for (series const& s : f.dots) {
    double const at = x(s.x[0]), mid = y(s.y[0]);
    taken.push_back({at - 7, mid - 7, at + 7, mid + 7});
    if (s.low.empty()) continue;
    d.line("whisker h" + std::to_string(s.style.hue), at, y(s.low[0]), at, y(s.high[0]));
    taken.push_back({at - 1, y(s.high[0]), at + 1, y(s.low[0])});
  }
  for (series const& s : f.dots) {
    double const at = x(s.x[0]), mid = y(s.y[0]), w = letter * double(s.name.size());
    double const above = (s.high.empty() ? mid - 7 : y(s.high[0])) - 3,
                 below = (s.low.empty() ? mid + 7 : y(s.low[0])) + 3;
    d.marker(s.style, at, mid, s.name + ": " + number(s.y[0], f.y.decimals + 1) + " at " + number(s.x[0], 2));
    struct place {
      box where;
      double anchor;
      char const* align;
    };
    auto const right = [&](double dy) {
      return place{{at + 11, mid - 8 + dy, at + 11 + w, mid + 8 + dy}, at + 11, ""};
    };
    auto const left = [&](double dy) {
      return place{{at - 11 - w, mid - 8 + dy, at - 11, mid + 8 + dy}, at - 11, " end"};
    };
    auto const centred = [&](double from) { return place{{at - w / 2, from, at + w / 2, from + 16}, at, " middle"}; };
    std::array const places = {right(0),  left(0),  centred(above - 16), centred(below),      right(-16), right(16),
                               left(-16), left(16), centred(above - 30), centred(below + 14), right(-30), right(30)};
    auto const fits = [&](place const& p) {
      box const& b = p.where;
      return b.left > x.from - 10 && b.right < width && b.top > top - 10 && b.bottom < y.from &&
             std::none_of(taken.begin(), taken.end(), [&](box const& t) { return t.meets(b); });
    };
    auto const found = std::find_if(places.begin(), places.end(), fits);
    place const& p = found == places.end() ? places[0] : *found;
    d.text("name " + ink(s.style) + p.align, p.anchor, p.where.top + 12, s.name);
    taken.push_back(p.where);
  }
  return d.finish();
}

std::string draw(bar_figure const& f, double width) {
  bool const phone = width < half_width;
  std::size_t longest = 0, text = 0;
  double most = 0;
  for (bar const& b : f.bars) {
    longest = std::max(longest, b.name.size());
    text = std::max(text, b.text.size());
    most = std::max({most, b.value, b.limit});
  }
  double const row = phone ? 48 : 34, left = phone ? 2 : 12 + letter * double(longest), top = 26;
  double const right = phone ? 12 : 12 + letter * double(text), bottom = top + row * double(f.bars.size());
  drawing d(width, bottom + 46, f.title);
  scale const x(0, most, left, width - right, 80, scale::exact);
  x.ticks([&](double v) {
    d.line("grid", x(v), top, x(v), bottom)
        .text(v == 0 && phone ? "tick" : "tick middle", x(v), bottom + 18, number(v, f.x.decimals));
  });
  d.text("label end", x.to, bottom + 38, f.x.label);
  for (std::size_t k = 0; k < f.bars.size(); ++k) {
    bar const& b = f.bars[k];
    double const middle = top + row * double(k) + (phone ? 34 : row / 2), thick = phone ? 14 : 18;
    d.rect("bar h" + std::to_string(b.style.hue) + " b" + std::to_string(b.style.texture), x.from, middle - thick / 2,
           x(b.value) - x.from, thick, 2);
    d.line("limit", x(b.limit), middle - thick / 2 - 4, x(b.limit), middle + thick / 2 + 4);
    if (phone) {
      d.text("name", x.from, middle - 14, b.name).text("value end", width - 2, middle - 14, b.text);
    } else {
      d.text("name end", left - 10, middle + 4, b.name)
          .text("value", std::max(x(b.value), x(b.limit)) + 9, middle + 4, b.text);
    }
  }
  d.line("axis", x.from, top, x.from, bottom);
  d.line("limit", phone ? 4 : left + 2, 6, phone ? 4 : left + 2, 18)
      .text("tick", (phone ? 4 : left + 2) + 8, 16, f.limit_name);
  return d.finish();
}

}  // namespace bench::report
