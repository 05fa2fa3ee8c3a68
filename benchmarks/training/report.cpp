// SPDX-License-Identifier: Apache-2.0
#include "training/report.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "training/plot.hpp"

namespace bench::report {
namespace {

constexpr char const* style = R"(
:root { color-scheme: light dark;
  --paper: #fcfbf9; --panel: #ffffff; --text: #1b1f24; --muted: #5c646e; --rule: #e4e1db; --faint: #f3f1ec;
  --hue0: #5a6571; --hue1: #0b62b0; --hue2: #bb4a08; --hue3: #04795b; --good: #04795b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --panel: #1a1e23; --text: #e9e7e2; --muted: #9ca5af; --rule: #2d333a; --faint: #20252b;
  --hue0: #aab4c0; --hue1: #63b1f4; --hue2: #f29a5c; --hue3: #41c79d; --good: #41c79d; --bad: #ff8a80; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--text);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif; }
main, header, footer { max-width: 1040px; margin: 0 auto; padding: 0 40px; }
header { padding-top: 64px; }
h1 { font-size: 40px; line-height: 1.15; letter-spacing: -0.02em; font-weight: 680; margin: 0 0 12px; }
h2 { font-size: 26px; line-height: 1.25; letter-spacing: -0.012em; font-weight: 660; margin: 64px 0 12px; }
h3 { font-size: 20px; line-height: 1.3; letter-spacing: -0.008em; font-weight: 650; margin: 48px 0 14px; }
p { max-width: 70ch; margin: 0 0 14px; }
header p, footer p, figcaption, .note { color: var(--muted); }
header p { font-size: 18px; line-height: 1.5; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
footer { padding-top: 20px; padding-bottom: 56px; margin-top: 56px; font-size: 14px; }
footer p { border-top: 1px solid var(--rule); padding-top: 18px; max-width: none; }
.notice { border-left: 3px solid var(--hue2); padding: 2px 0 2px 14px; }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 16px; margin: 28px 0 8px; }
.tile { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px; padding: 16px 18px 14px; }
.tile b { display: block; font-size: 28px; line-height: 1.2; font-weight: 640; letter-spacing: -0.02em; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; color: var(--muted); font-size: 14px; line-height: 1.4; margin-top: 4px; }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 44px 24px; margin-top: 8px; }
figure { margin: 0; }
figure.wide { grid-column: 1 / -1; }
figure b { display: block; font-size: 15px; font-weight: 620; line-height: 1.35; margin-bottom: 14px; }
figcaption { font-size: 14px; line-height: 1.5; margin-top: 8px; max-width: 76ch; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-family: inherit; }
svg.small { display: none; }
.scroll { overflow-x: auto; margin: 18px 0 0; } .figures + .scroll { margin-top: 40px; }
table { border-collapse: collapse; width: 100%; font-size: 15px; font-variant-numeric: tabular-nums; }
.note { font-size: 14px; line-height: 1.5; padding-top: 10px; }
th { text-align: left; font-weight: 600; font-size: 13px; line-height: 1.35; color: var(--muted); vertical-align: bottom; }
th, td { padding: 9px 16px 9px 0; border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: 0; }
.figures-table th:not(:first-child), .figures-table td:not(:first-child) { text-align: right; white-space: nowrap; }
.figures-table td:first-child { font-weight: 560; white-space: nowrap; }
.mark { white-space: nowrap; font-weight: 620; }
.mark.met { color: var(--good); } .mark.missed { color: var(--bad); } .mark.open { color: var(--muted); font-weight: 450; }
.h0 { --c: var(--hue0); } .h1 { --c: var(--hue1); } .h2 { --c: var(--hue2); } .h3 { --c: var(--hue3); }
.grid { stroke: var(--rule); } .axis { stroke: var(--muted); } .notch { stroke: var(--muted); }
.tick, .label { font-size: 12px; fill: var(--muted); font-variant-numeric: tabular-nums; } .label { fill: var(--text); }
.name { font-size: 12px; font-weight: 560; fill: var(--text); white-space: pre; } .ink { fill: var(--c); }
.value { font-size: 12px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.stroke { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.t1 { stroke-dasharray: 7 5; } .t2 { stroke-dasharray: 0.5 5; stroke-width: 2.6; }
.band { fill: var(--c); opacity: 0.1; } .tolerance { fill: var(--faint); }
.leader { stroke: var(--c); opacity: 0.45; } .whisker { stroke: var(--c); stroke-width: 1.5; opacity: 0.6; }
.marker { fill: var(--c); stroke: var(--paper); stroke-width: 1.5; }
.bar { fill: var(--c); } .bar.b1 { opacity: 0.75; } .bar.b2 { opacity: 0.55; }
.limit { stroke: var(--text); stroke-width: 2.5; }
@media (max-width: 1000px) {
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  th, td { padding-right: 8px; } table { font-size: 14px; }
}
@media (max-width: 820px) {
  main, header, footer { padding-left: 24px; padding-right: 24px; }
  header { padding-top: 36px; }
  h1 { font-size: 30px; } h2 { font-size: 23px; margin-top: 48px; } header p { font-size: 17px; }
  .tiles { gap: 12px; } .tile { padding: 13px 14px 12px; } .tile b { font-size: 21px; }
  .tile span { font-size: 13px; }
  .figures { grid-template-columns: minmax(0, 1fr); gap: 36px; }
  svg.large { display: none; } svg.small { display: block; }
  .expectations thead { display: none; }
  .expectations tr { display: grid; grid-template-columns: 1fr auto; column-gap: 12px; padding: 10px 0; border-bottom: 1px solid var(--rule); }
  .expectations td { border: 0; padding: 0; } .expectations td:first-child { grid-column: 1 / -1; }
  .expectations td:nth-child(2), .expectations td:nth-child(3) { grid-column: 1; color: var(--muted); font-size: 14px; }
  .expectations td:nth-child(2)::before { content: "expected "; } .expectations td:nth-child(3)::before { content: "measured "; }
  .expectations td:nth-child(4) { grid-column: 2; grid-row: 2 / 4; align-self: center; }
  .figures-table th:first-child, .figures-table td:first-child { position: sticky; left: 0; background: var(--paper); }
}
@media print { body { background: #fff; } figure, tr { break-inside: avoid; } }
)";

std::string cells(std::vector<std::string> const& row, char const* tag) {
  std::string html = "<tr>";
  for (std::string const& cell : row) html += std::string("<") + tag + ">" + cell + "</" + tag + ">";
  return html + "</tr>\n";
}

}  // namespace

std::string number(double x, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, std::abs(x));
  std::string s = text;
  bool const zero = s.find_first_not_of("0.") == std::string::npos;
  std::size_t const point = std::min(s.find('.'), s.size());
  for (std::size_t k = point; k > 3; k -= 3) s.insert(k - 3, 1, ',');
  return x < 0 && !zero ? std::string("\u2212").append(s) : s;
}

std::string escape(std::string const& text) {
  std::string html;
  for (char c : text) {
    if (c == '<') html += "&lt;";
    else if (c == '>') html += "&gt;";
    else if (c == '&') html += "&amp;";
    else if (c == '"') html += "&quot;";
    else html += c;
  }
  return html;
}

char const* verdict(expectation const& e) { return !e.met ? "not judged" : *e.met ? "met" : "missed"; }

series over_runs(std::string name, look style, std::vector<double> x, std::vector<std::vector<double>> const& runs) {
  series s{std::move(name), style, std::move(x), {}, {}, {}};
  for (std::size_t k = 0; k < s.x.size(); ++k) {
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (std::vector<double> const& y : runs) {
      sum += y[k];
      low = std::min(low, y[k]);
      high = std::max(high, y[k]);
    }
    s.y.push_back(sum / double(runs.size()));
    s.low.push_back(low);
    s.high.push_back(high);
  }
  return s;
}

section::section(std::string name, std::string title) : name_(std::move(name)), title_(std::move(title)) {}

/// Figures that follow each other share a grid, so that two narrow ones stand side by side; anything else ends it.
section& section::write(std::string const& html) {
  bool const figure = html.starts_with("<figure");
  if (figure != among_figures_) body_ += figure ? "<div class=\"figures\">\n" : "</div>\n";
  among_figures_ = figure;
  body_ += html;
  return *this;
}

section& section::text(std::string const& html) { return write("<p>" + html + "</p>\n"); }

section& section::heading(std::string const& title) { return write("<h3>" + escape(title) + "</h3>\n"); }

section& section::tiles(std::vector<tile> const& all) {
  std::string html = "<div class=\"tiles\">\n";
  for (tile const& t : all)
    html += "<div class=\"tile\"><b>" + escape(t.value) + "</b><span>" + escape(t.meaning) + "</span></div>\n";
  return write(html + "</div>\n");
}

section& section::expect(std::vector<expectation> all) {
  std::string html = "<div class=\"scroll\"><table class=\"expectations\">\n<thead>" +
                     cells({"Expectation", "Expected", "Measured", ""}, "th") + "</thead>\n<tbody>\n";
  for (expectation const& e : all) {
    std::string const mark = !e.met   ? "<span class=\"mark open\">not judged</span>"
                             : *e.met ? "<span class=\"mark met\">\u2713 met</span>"
                                      : "<span class=\"mark missed\">\u2717 missed</span>";
    html += cells({escape(e.claim), escape(e.expected), escape(e.measured), mark}, "td");
  }
  expectations_.insert(expectations_.end(), all.begin(), all.end());
  return write(html + "</tbody></table></div>\n");
}

section& section::add_figure(figure const& f, std::string const& large, std::string const& small) {
  auto const sized = [](std::string svg, char const* size) {
    return svg.replace(0, 4, std::string("<svg class=\"") + size + "\"");
  };
  return write(std::string("<figure") + (f.wide ? " class=\"wide\"" : "") + "><b>" + escape(f.title) + "</b>\n" +
               sized(large, "large") + sized(small, "small") + "<figcaption>" + f.caption + "</figcaption></figure>\n");
}
section& section::add(line_figure const& f) {
  return add_figure(f, draw(f, f.wide ? full_width : half_width), draw(f, phone_width));
}
section& section::add(dot_figure const& f) {
  return add_figure(f, draw(f, f.wide ? full_width : half_width), draw(f, phone_width));
}
section& section::add(bar_figure const& f) {
  return add_figure(f, draw(f, f.wide ? full_width : half_width), draw(f, phone_width));
}

section& section::add(table const& t) {
  std::string html =
      "<div class=\"scroll\"><table class=\"figures-table\">\n<thead>" + cells(t.head, "th") + "</thead>\n<tbody>\n";
  for (auto const& row : t.rows) html += cells(row, "td");
  return write(html + "</tbody></table></div>\n<p class=\"note\">" + t.caption + "</p>\n");
}

std::string section::html() const {
  return "<section id=\"" + escape(name_) + "\">\n<h2>" + escape(title_) + "</h2>\n" + body_ +
         (among_figures_ ? "</div>\n" : "") + "</section>\n";
}

std::string page(std::vector<section> const& sections, std::string const& made_by, bool quick) {
  std::string html = std::string("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n") +
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>frugal: "
                     "measured</title>\n<style>" +
                     style + "</style>\n</head>\n<body>\n<header>\n<h1>Frugal, measured</h1>\n" +
                     "<p>What training costs in memory, bytes and time, and what it buys, with the methods of the "
                     "frugal library on this machine.</p>\n";
  if (quick)
    html +=
        "<p class=\"notice\">A quick run: a few steps of everything, to show that it works. Its figures mean "
        "nothing.</p>\n";
  html += "</header>\n<main>\n";
  for (section const& s : sections) html += s.html();
  return html + "</main>\n<footer><p>" + escape(made_by) +
         ". The same figures are in <code>results.json</code> beside this page.</p></footer>\n</body>\n</html>\n";
}

}  // namespace bench::report
