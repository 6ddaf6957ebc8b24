/// Charts: well-formed, escaped, with round axes and everything drawn where its value says.
#include "examples/support/svg.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "examples/support/random.hpp"
#include "xml_checker.hpp"

namespace {

using namespace example;
using radapt_test::XmlChecker;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();

/// Coordinates are written in tenths of a pixel, so two of them may be off by a twentieth each.
constexpr double rounding = 0.11;
bool near(double a, double b, double tolerance = rounding) { return std::abs(a - b) <= tolerance; }

/// An opening tag, its attributes, and the text up to the next tag.
struct Element {
  std::string tag;
  std::map<std::string, std::string> attributes;
  std::string text;

  double number(const std::string& name) const { return std::stod(attributes.at(name)); }
  std::string value(const std::string& name) const {
    return attributes.count(name) == 0 ? std::string() : attributes.at(name);
  }
};

/// The elements of a chart in order. Relies on what XmlChecker checks.
std::vector<Element> elements(const std::string& svg) {
  std::vector<Element> all;
  for (std::size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    if (svg[at + 1] == '/') { continue; }
    const std::size_t end = svg.find('>', at);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    Element element;
    element.tag = tag.substr(0, tag.find_first_of(" /"));
    for (std::size_t quote = tag.find("=\""); quote != std::string::npos; quote = tag.find("=\"", quote)) {
      const std::size_t name = tag.rfind(' ', quote) + 1;
      const std::size_t close = tag.find('"', quote + 2);
      element.attributes[tag.substr(name, quote - name)] = tag.substr(quote + 2, close - quote - 2);
      quote = close;
    }
    element.text = svg.substr(end + 1, svg.find('<', end) - end - 1);
    all.push_back(element);
  }
  return all;
}

struct PlacedText {
  std::string text;
  XY at;
  double size = 0;
  std::string anchor;
  bool turned = false;

  Area area() const {
    const double width = text_width(text, size);
    const double left = anchor == "middle" ? at.x - width / 2 : anchor == "end" ? at.x - width : at.x;
    return {left, at.y - size * 0.8, left + width, at.y + size * 0.2};
  }
};

std::vector<PlacedText> texts(const std::string& svg) {
  std::vector<PlacedText> all;
  for (const Element& e : elements(svg)) {
    if (e.tag != "text") { continue; }
    all.push_back({e.text,
                   {e.number("x"), e.number("y")},
                   e.number("font-size"),
                   e.value("text-anchor"),
                   !e.value("transform").empty()});
  }
  return all;
}
PlacedText text_of(const std::string& svg, const std::string& text) {
  for (const PlacedText& placed : texts(svg)) {
    if (placed.text == text) { return placed; }
  }
  FAIL("no text '" << text << "'");
  return {};
}

/// The element just before the first note that starts with `note`.
Element noted(const std::string& svg, const std::string& note) {
  const std::vector<Element> all = elements(svg);
  for (std::size_t i = 2; i < all.size(); ++i) {  // the first title is that of the chart
    if (all[i].tag == "title" && all[i].text.rfind(note, 0) == 0) { return all[i - 1]; }
  }
  FAIL("no note '" << note << "'");
  return {};
}
XY marker(const std::string& svg, const std::string& note) {
  const std::string transform = noted(svg, note).attributes.at("transform");  // translate(x y) scale(s)
  std::istringstream numbers(transform.substr(transform.find('(') + 1));
  XY at;
  numbers >> at.x >> at.y;
  return at;
}
Area box(const std::string& svg, const std::string& note) {
  const Element e = noted(svg, note);
  return {e.number("x"), e.number("y"), e.number("x") + e.number("width"), e.number("y") + e.number("height")};
}

/// Where a value lies on the y axis, from the places of two of its tick labels.
double y_between(const std::string& svg, const std::string& low, double low_value, const std::string& high,
                 double high_value, double value) {
  const double bottom = text_of(svg, low).at.y - 4;  // labels are centred on their tick by moving them down by 4
  const double top = text_of(svg, high).at.y - 4;
  return bottom + (top - bottom) * (value - low_value) / (high_value - low_value);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) { ++found; }
  return found;
}

ScatterChart scatter() {
  ScatterChart chart;
  chart.options.title = "ID and OOD";
  chart.x = {.title = "ID accuracy", .unit = "%", .low = 0, .high = 100};
  chart.y = {.title = "OOD accuracy", .unit = "%", .low = 0, .high = 50};
  chart.points = {{"zero-shot", {25, 30}}, {"full fine-tuning", {80, 10}, 5, 7.5}, {"R-Adapter", {76, 40}}};
  chart.curves = {{"alpha", {{25, 30}, {60, 42}, {80, 37}}, "alpha = 0", "alpha = 1"}};
  return chart;
}

LineChart lines() {
  LineChart chart;
  chart.options.title = "Loss";
  chart.x = {.title = "step"};
  chart.y = {.title = "loss", .low = 0.0};
  chart.series = {{"full", {{0, 4}, {100, 1}, {200, 0.5}}}, {"adapter", {{0, 3}, {100, 2}, {200, 1.5}}}};
  return chart;
}

BarChart bars() {
  BarChart chart;
  chart.options.title = "Shifts";
  chart.x_title = "shift";
  chart.y = {.title = "accuracy", .unit = "%", .high = 100.0};
  chart.groups = {"sketch", "neon", "turned"};
  chart.series = {{"zero-shot", {50, 40, 30}, {}}, {"R-Adapter", {75, 60.5, 45}, {5, 2.5, 0}}};
  return chart;
}

}  // namespace

TEST_CASE("the checker of this test accepts good XML and refuses bad") {
  CHECK(XmlChecker::problem("<!DOCTYPE html>\n<a b=\"1\" c-d=\"&lt;\"><e /><f/>x &amp; &#39;</a>\n") == "");
  for (const char* bad : {"", "text", "<a>", "</a>", "<a></b>", "<a><b></a></b>", "<a/><b/>", "<a b=\"1\" b=\"2\"/>",
                          "<a b=1/>", "<a b=\"<\"/>", "<a>&</a>", "<a>&nbsp;</a>", "<a>&#x;</a>", "<a>\x01</a>",
                          "<a b=\"1\"c=\"2\"/>", "<a/>x", "< a/>", "<a b=\"1/>"}) {
    CAPTURE(bad);
    CHECK(XmlChecker::problem(bad) != "");
  }
}

TEST_CASE("numbers are written plainly") {
  CHECK(decimal(1.25, 1) == "1.2");  // halves to even, as the value is exact
  CHECK(decimal(-0.01, 1) == "0.0");
  CHECK(decimal(-1.5, 1) == "-1.5");
  CHECK(decimal(1e21, 0) == "1000000000000000000000");
  CHECK(short_decimal(2.50, 3) == "2.5");
  CHECK(short_decimal(100, 3) == "100");
  CHECK(short_decimal(-0.0001, 2) == "0");
  CHECK(short_decimal(120, 0) == "120");
  CHECK_THROWS_AS(decimal(nan_value, 2), radapt::error);
  CHECK_THROWS_AS(decimal(infinite, 2), radapt::error);
}

TEST_CASE("text is escaped, and what XML cannot hold is replaced") {
  CHECK(escaped("a<b & \"c\" 'd'>") == "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;");
  CHECK(escaped("\x01\n\x7F") == "   ");
  CHECK(escaped("\xCE\xB1 \xE2\x86\x92 \xF0\x9F\x98\x80") == "\xCE\xB1 \xE2\x86\x92 \xF0\x9F\x98\x80");
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(escaped("\xFF") == replaced);
  CHECK(escaped("\xC0\x80") == replaced + replaced);                 // overlong
  CHECK(escaped("\xED\xA0\x80") == replaced + replaced + replaced);  // surrogate
  CHECK(escaped("\xE2\x86") == replaced + replaced);                 // cut off
  CHECK(escaped("\xF4\x90\x80\x80") == replaced + replaced + replaced + replaced);
  CHECK(escaped("\xEF\xBF\xBF") == replaced);  // a non-character
}

TEST_CASE("axes have round ticks that enclose the data") {
  const Axis percent = round_axis(3, 97);
  CHECK(percent.low == 0);
  CHECK(percent.high == 100);
  CHECK(percent.step == 20);
  CHECK(percent.ticks().size() == 6);
  CHECK(percent.label(20) == "20");
  const Axis small = round_axis(0.0131, 0.0468);
  CHECK(near(small.step, 0.01, 1e-12));  // a product of a power of ten and 1, up to rounding
  CHECK(small.label(small.low) == "0.01");
  const Axis quarters = round_axis(0, 1, {}, 4);
  CHECK(quarters.label(0.25) == "0.25");
  const Axis single = round_axis(5, 5);
  CHECK(single.low < 5);
  CHECK(single.high > 5);
  const Axis zero = round_axis(0, 0);
  CHECK(zero.low <= -1);
  CHECK(zero.high >= 1);
  CHECK(round_axis(20, 40, {.title = "", .unit = "", .low = 0.0, .high = 100.0}).ticks().size() == 6);
  CHECK(round_axis(0.1, 0.9, {.title = "", .unit = "ms"}).label(0.5) == "0.5 ms");
}

TEST_CASE("axes of random data: few ticks, all round, labels that say the tick") {
  Random random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    const double scale = std::pow(10, static_cast<double>(random.between(-6, 9)));
    const double a = static_cast<double>(random.between(-1000, 1000)) / 1000 * scale;
    const double b = a + static_cast<double>(random.between(1, 1000)) / 1000 * scale;
    CAPTURE(a);
    CAPTURE(b);
    const Axis axis = round_axis(a, b);
    // A hundred-millionth of a step: what the division of an end by the step can be off.
    CHECK(axis.low <= a + 1e-8 * axis.step);
    CHECK(axis.high >= b - 1e-8 * axis.step);
    CHECK(axis.low > a - axis.step * (1 + 1e-8));
    CHECK(axis.high < b + axis.step * (1 + 1e-8));
    const std::vector<double> ticks = axis.ticks();
    CHECK(ticks.size() >= 3);
    CHECK(ticks.size() <= 9);
    std::set<std::string> labels;
    for (const double tick : ticks) {
      CHECK(near(std::stod(axis.label(tick)), tick, 1e-6 * axis.step));
      labels.insert(axis.label(tick));
    }
    CHECK(labels.size() == ticks.size());
    const double lead = axis.step / std::pow(10, std::floor(std::log10(axis.step) + 1e-9));
    const bool round = near(lead, 1, 1e-6) || near(lead, 2, 1e-6) || near(lead, 2.5, 1e-6) || near(lead, 5, 1e-6);
    CHECK(round);
  }
}

TEST_CASE("an axis of doublings has a tick at every power of two, all as far apart") {
  const Axis axis = round_axis(1, 16, {.title = "shots", .doubling = true});
  CHECK(axis.ticks() == std::vector<double>{1, 2, 4, 8, 16});
  CHECK(axis.label(8) == "8");
  for (const double x : {1.0, 2.0, 4.0, 8.0, 16.0}) { CHECK(near(axis.share(x), std::log2(x) / 4, 1e-15)); }
  CHECK(round_axis(3, 5, {.doubling = true}).ticks() == std::vector<double>{2, 4, 8});
  CHECK(round_axis(0.3, 0.4, {.doubling = true}).label(0.25) == "0.25");
  CHECK(round_axis(4, 4, {.doubling = true}).ticks().size() == 2);
  CHECK_THROWS_WITH_AS(round_axis(0, 4, {.title = "shots", .doubling = true}),
                       doctest::Contains("numbers above 0, got 0"), radapt::error);

  LineChart chart = lines();
  chart.x = {.title = "shots", .doubling = true};
  chart.series = {{"probe", {{1, 31}, {2, 52}, {8, 64}}, {0.5, 0, 1}}};
  const std::string svg = to_svg(chart);
  const double x2 = text_of(svg, "2").at.x, x4 = text_of(svg, "4").at.x, x8 = text_of(svg, "8").at.x;
  CHECK(near(x8 - x4, x4 - x2, 2 * rounding));
  CHECK(near(marker(svg, "probe: 8, 64").x, x8));
}

TEST_CASE("error bars of lines reach as far as the error, and the axis holds them") {
  LineChart chart = lines();
  chart.series = {{"probe", {{0, 2}, {100, 3}}, {0, 1.5}}};
  const std::string svg = to_svg(chart);
  const XY at = marker(svg, "probe: 100, 3");
  const double low = y_between(svg, "1", 1, "4", 4, 1.5), high = y_between(svg, "1", 1, "4", 4, 4.5);
  bool found = false;
  for (const Element& e : elements(svg)) {
    // Beyond the upper tick by a sixth of the distance between the two: a sixth more rounding.
    found = found || (e.tag == "line" && near(e.number("x1"), at.x) && near(e.number("x2"), at.x) &&
                      near(e.number("y1"), low, 1.2 * rounding) && near(e.number("y2"), high, 1.2 * rounding));
  }
  CHECK(found);
  CHECK(text_of(svg, "5").at.y < high + 4);  // a tick beyond 4.5
}

TEST_CASE("axes refuse what cannot be drawn") {
  CHECK_THROWS_AS(round_axis(nan_value, 1), radapt::error);
  CHECK_THROWS_AS(round_axis(0, infinite), radapt::error);
  CHECK_THROWS_AS(round_axis(1e15, 1e15 + 1), radapt::error);
  CHECK_THROWS_AS(round_axis(-1e308, 1e308), radapt::error);
  CHECK_THROWS_AS(round_axis(0, 1e-300), radapt::error);
}

TEST_CASE("charts are well-formed and say what they show") {
  for (const std::string& svg : {to_svg(scatter()), to_svg(lines()), to_svg(bars())}) {
    CHECK(XmlChecker::problem(svg) == "");
    CHECK(svg.rfind("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"", 0) == 0);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    CHECK(svg.find(" id=") == std::string::npos);  // ids of two charts in one page could collide
  }
  const std::string svg = to_svg(scatter());
  for (const char* expected : {"ID and OOD", "ID accuracy", "OOD accuracy", "zero-shot", "full fine-tuning", "alpha",
                               "alpha = 0", "alpha = 1", "100%"}) {
    CHECK(text_of(svg, expected).size >= 10);
  }
}

TEST_CASE("text from outside cannot break a chart") {
  const std::string evil = "</text><script>alert('x')</script> & \"quoted\" \xFF\x02";
  ScatterChart s = scatter();
  s.options = {.title = evil, .note = evil};
  s.x.title = s.y.title = s.points[0].label = s.curves[0].name = s.curves[0].first_label = evil;
  s.x.unit = "<>";
  LineChart l = lines();
  l.options.title = l.series[0].name = l.x.title = evil;
  BarChart b = bars();
  b.options.title = b.groups[0] = b.series[0].name = b.x_title = evil;
  for (const std::string& svg : {to_svg(s), to_svg(l), to_svg(b)}) {
    CHECK(XmlChecker::problem(svg) == "");
    CHECK(svg.find("<script") == std::string::npos);
    CHECK(svg.find("&lt;script&gt;") != std::string::npos);
  }
}

TEST_CASE("scatter points stand where their values say") {
  const std::string svg = to_svg(scatter());
  const double x60 = text_of(svg, "60%").at.x;  // 60% and 100% are ticks of x alone, since y ends at 50%
  const double x100 = text_of(svg, "100%").at.x;
  struct Expected {
    const char* note;
    double x, y;
  };
  for (const Expected& point : std::vector<Expected>{{"zero-shot: 25.0%, 30.0%", 25, 30},
                                                     {"R-Adapter: 76.0%, 40.0%", 76, 40},
                                                     {"full fine-tuning: 80.0%, 10.0%", 80, 10},
                                                     {"alpha: 60.0%, 42.0%", 60, 42}}) {
    CAPTURE(point.note);
    const XY at = marker(svg, point.note);
    // Two ticks 40 units apart carry their own rounding out to 75 units away: twice as much, and once for the point.
    CHECK(near(at.x, x100 - (x100 - x60) * (100 - point.x) / 40, 3 * rounding));
    CHECK(near(at.y, y_between(svg, "10%", 10, "50%", 50, point.y)));
  }
}

TEST_CASE("error bars reach as far as the error") {
  const std::string svg = to_svg(scatter());
  const XY at = marker(svg, "full fine-tuning");
  const double x_scale = (text_of(svg, "100%").at.x - text_of(svg, "60%").at.x) / 40;
  const auto line = [&](double x1, double y1, double x2, double y2) {
    bool found = false;
    for (const Element& e : elements(svg)) {
      found = found || (e.tag == "line" && near(e.number("x1"), x1) && near(e.number("y1"), y1) &&
                        near(e.number("x2"), x2) && near(e.number("y2"), y2));
    }
    return found;
  };
  CHECK(line(at.x - 5 * x_scale, at.y, at.x + 5 * x_scale, at.y));
  CHECK(line(at.x, y_between(svg, "10%", 10, "50%", 50, 2.5), at.x, y_between(svg, "10%", 10, "50%", 50, 17.5)));
  CHECK_FALSE(line(at.x - 4 * x_scale, at.y, at.x + 4 * x_scale, at.y));
}

TEST_CASE("labels of a scatter chart do not cover each other or the markers") {
  ScatterChart chart = scatter();
  chart.x.low = chart.y.low = chart.x.high = chart.y.high = std::nullopt;
  chart.points = {{"zero-shot", {62, 48}, 1.2, 0.8},   {"full fine-tuning", {95, 41}, 0.7, 2},
                  {"R-Adapter", {94, 59.5}, 0.6, 1.1}, {"WiSE-FT", {92.5, 56}, 0.6, 1.3},
                  {"low rank", {93.2, 58.4}},          {"twin", {62, 48}}};
  chart.curves = {{"path", {{62, 48}, {80, 58}, {95, 58.5}}, "alpha = 0", "alpha = 1"}};
  const std::string svg = to_svg(chart);
  std::vector<std::string> names{"alpha = 0", "alpha = 1"};
  for (const ScatterPoint& point : chart.points) { names.push_back(point.label); }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Area area = text_of(svg, names[i]).area();
    CHECK(area.left > 0);
    CHECK(area.right < chart.options.width);
    for (std::size_t k = 0; k < names.size(); ++k) {
      CAPTURE(names[i]);
      CAPTURE(names[k]);
      if (k > i) { CHECK(area.overlap(text_of(svg, names[k]).area()) == 0); }
      if (k < 2) { continue; }
      const XY at = marker(svg, names[k]);
      CHECK(area.overlap({at.x - 4, at.y - 4, at.x + 4, at.y + 4}) == 0);
    }
  }
}

TEST_CASE("lines go through their points, and every series has a name and a look of its own") {
  const std::string svg = to_svg(lines());
  std::vector<XY> places;
  for (const Element& e : elements(svg)) {
    if (e.tag != "polyline" || e.value("stroke") != series_colour(1)) { continue; }
    std::istringstream points(e.value("points"));
    for (std::string place; points >> place;) {
      const std::size_t comma = place.find(',');
      places.push_back({std::stod(place.substr(0, comma)), std::stod(place.substr(comma + 1))});
    }
  }
  REQUIRE(places.size() == 3);
  const double x50 = text_of(svg, "50").at.x;
  const double x150 = text_of(svg, "150").at.x;
  const std::vector<double> values{3, 2, 1.5};
  for (std::size_t i = 0; i < 3; ++i) {
    // Beyond the two ticks by half their distance: half as much rounding again.
    CHECK(near(places[i].x, x50 + (static_cast<double>(i) - 0.5) * (x150 - x50), 1.5 * rounding));
    CHECK(near(places[i].y, y_between(svg, "1", 1, "3", 3, values[i])));
  }
  CHECK(text_of(svg, "full").at.x < text_of(svg, "adapter").at.x);
  CHECK(count(svg, "stroke-dasharray=\"7 3\"") == 2);  // the line and its legend
}

TEST_CASE("a line chart of many points leaves out only points that fall together") {
  LineChart chart = lines();
  chart.y.high = 1.0;
  chart.series = {{"dense", {}}};
  for (int i = 0; i <= 100000; ++i) { chart.series[0].points.push_back({i / 1000.0, i % 2 == 0 ? 0.0 : 1e-9}); }
  const std::string svg = to_svg(chart);
  CHECK(XmlChecker::problem(svg) == "");
  // At most one point of twelve letters per tenth of a pixel of width, but about half of that at least.
  CHECK(svg.size() < 6400 * 12 + 10000);
  CHECK(svg.size() > 3200 * 10);
  chart.series[0].points = {{0, 1}, {1, 1}};
  CHECK(XmlChecker::problem(to_svg(chart)) == "");
}

TEST_CASE("bars start at zero and are as long as their value") {
  const std::string svg = to_svg(bars());
  const double zero = y_between(svg, "0%", 0, "100%", 100, 0);
  struct Expected {
    const char* note;
    double value;
  };
  for (const Expected& bar : std::vector<Expected>{{"sketch, zero-shot: 50.0%", 50},
                                                   {"turned, R-Adapter: 45.0%", 45},
                                                   {"neon, R-Adapter: 60.5% \xC2\xB1 2.5%", 60.5}}) {
    CAPTURE(bar.note);
    const Area area = box(svg, bar.note);
    CHECK(near(area.bottom, zero, 2 * rounding));  // the bottom is a sum of two rounded numbers
    CHECK(near(area.top, y_between(svg, "0%", 0, "100%", 100, bar.value)));
  }
  CHECK(box(svg, "sketch, zero-shot: 50.0%").right < box(svg, "sketch, R-Adapter: 75.0% \xC2\xB1 5.0%").left);
  CHECK(box(svg, "sketch, R-Adapter: 75.0% \xC2\xB1 5.0%").right < box(svg, "neon, zero-shot: 40.0%").left);
  // Values stand over wide bars, above their error bars.
  CHECK(text_of(svg, "75.0%").at.y < y_between(svg, "0%", 0, "100%", 100, 80));
}

TEST_CASE("bars below zero hang down from it") {
  BarChart chart = bars();
  chart.y = {.title = "change", .unit = "points"};
  chart.series = {{"change", {10, -20, 5}, {}}};
  const std::string svg = to_svg(chart);
  CHECK(near(box(svg, "neon, change: -20.0 points").top, box(svg, "sketch, change: 10.0 points").bottom, 2 * rounding));
  CHECK(box(svg, "neon, change: -20.0 points").bottom > box(svg, "neon, change: -20.0 points").top + 20);
}

TEST_CASE("names under bars never run into each other") {
  BarChart chart = bars();
  chart.groups = {"free colours", "unseen colours", "busy backgrounds", "turned", "sketch",     "neon",
                  "poster",       "chalk",          "negative",         "mosaic", "watercolour"};
  chart.series = {{"a", std::vector<double>(11, 50.0), {}}, {"b", std::vector<double>(11, 60.0), {}}};
  std::string svg = to_svg(chart);
  // Names that are too long for their place are slanted by 40 degrees (sine 0.643); all end above the title of the
  // axis.
  CHECK(text_of(svg, "watercolour").turned);
  const double title = text_of(svg, "shift").at.y;
  for (const std::string& group : chart.groups) {
    const PlacedText text = text_of(svg, group);
    CHECK(text.at.y + text_width(group, text.size) * 0.643 < title - 8);
  }
  chart.options.width = 1000;
  svg = to_svg(chart);
  CHECK_FALSE(text_of(svg, "watercolour").turned);
  CHECK(text_of(svg, "busy").at.y < text_of(svg, "backgrounds").at.y);  // wrapped at the space
  std::vector<PlacedText> names;
  for (const PlacedText& text : texts(svg)) {
    if (text.at.y > text_of(svg, "0%").at.y + 5 && text.text != "shift") { names.push_back(text); }
  }
  CHECK(names.size() >= 11);
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t k = i + 1; k < names.size(); ++k) {
      CAPTURE(names[i].text);
      CAPTURE(names[k].text);
      CHECK(names[i].area().overlap(names[k].area()) == 0);
    }
  }
}

TEST_CASE("a legend that does not fit into one row takes more, and the plot moves down") {
  LineChart chart = lines();
  chart.series.clear();
  for (int i = 0; i < 7; ++i) {
    chart.series.push_back({"a method with a long name " + std::to_string(i), {{0, 0}, {1, double(i)}}});
  }
  const std::string svg = to_svg(chart);
  for (const LineSeries& series : chart.series) {
    const Area area = text_of(svg, series.name).area();
    CHECK(area.right < chart.options.width);
    CHECK(area.bottom < text_of(svg, "6").at.y - 4);
  }
}

TEST_CASE("series differ in colour, and neighbours in dash") {
  std::set<std::string_view> colours;
  for (std::size_t i = 0; i < 7; ++i) {
    colours.insert(series_colour(i));
    CHECK(series_dash(i) != series_dash(i + 1));
  }
  CHECK(colours.size() == 7);
}

TEST_CASE("mistakes in a chart are one clear error that names the place") {
  ScatterChart s = scatter();
  s.points[1].at.y = nan_value;
  CHECK_THROWS_WITH_AS(to_svg(s), doctest::Contains("point 'full fine-tuning': expected a finite number, got nan"),
                       radapt::error);
  s = scatter();
  s.points[1].x_error = -1;
  CHECK_THROWS_WITH_AS(to_svg(s), doctest::Contains("errors of at least 0, got -1"), radapt::error);
  s = scatter();
  s.points[1].y_error = infinite;
  CHECK_THROWS_AS(to_svg(s), radapt::error);
  s = scatter();
  s.curves[0].points[2].x = -infinite;
  CHECK_THROWS_WITH_AS(to_svg(s), doctest::Contains("curve 'alpha'"), radapt::error);
  s = scatter();
  s.curves[0].points.clear();
  CHECK_THROWS_AS(to_svg(s), radapt::error);
  CHECK_THROWS_AS(to_svg(ScatterChart{}), radapt::error);
  s = scatter();
  s.options.width = 99;
  CHECK_THROWS_WITH_AS(to_svg(s), doctest::Contains("100 .. 10000 pixels"), radapt::error);
  s.options.width = nan_value;
  CHECK_THROWS_AS(to_svg(s), radapt::error);
  s.options.width = 100;
  s.options.height = 100;
  CHECK_THROWS_WITH_AS(to_svg(s), doctest::Contains("room of 40 x 40 pixels"), radapt::error);

  LineChart l = lines();
  l.series[1].points[0].y = infinite;
  CHECK_THROWS_WITH_AS(to_svg(l), doctest::Contains("series 'adapter'"), radapt::error);
  l.series[1].points.clear();
  CHECK_THROWS_AS(to_svg(l), radapt::error);
  l = lines();
  l.series[1].errors = {1, 1};
  CHECK_THROWS_WITH_AS(to_svg(l), doctest::Contains("3 errors, one for each point, or none, got 2"), radapt::error);
  l.series[1].errors = {1, -1, 1};
  CHECK_THROWS_WITH_AS(to_svg(l), doctest::Contains("errors of at least 0, got -1"), radapt::error);
  CHECK_THROWS_AS(to_svg(LineChart{}), radapt::error);

  BarChart b = bars();
  b.series[0].values.pop_back();
  CHECK_THROWS_WITH_AS(to_svg(b), doctest::Contains("one value per group (3)"), radapt::error);
  b = bars();
  b.series[1].errors.pop_back();
  CHECK_THROWS_AS(to_svg(b), radapt::error);
  b = bars();
  b.series[1].errors[0] = -1;
  CHECK_THROWS_AS(to_svg(b), radapt::error);
  b = bars();
  b.series[1].values[0] = nan_value;
  CHECK_THROWS_AS(to_svg(b), radapt::error);
  CHECK_THROWS_AS(to_svg(BarChart{}), radapt::error);
}
