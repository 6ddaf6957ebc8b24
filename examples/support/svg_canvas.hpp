#pragma once
/// A sheet of SVG: lines, text, boxes and markers, in pixels from the upper left corner.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "markup.hpp"

namespace example {

/// A point of a chart (in data units) or of a sheet (in pixels, y down).
struct XY {
  double x = 0;
  double y = 0;
};

/// An upright rectangle in pixels.
struct Area {
  double left = 0, top = 0, right = 0, bottom = 0;

  double overlap(const Area& other) const {
    const double width = std::min(right, other.right) - std::max(left, other.left);
    const double height = std::min(bottom, other.bottom) - std::max(top, other.top);
    return width > 0 && height > 0 ? width * height : 0;
  }
};

/// Colours that people with any common colour vision can tell apart (Okabe and Ito, 2008), those that show on white.
inline constexpr std::array<std::string_view, 7> series_colours{"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                                "#E69F00", "#56B4E9", "#000000"};
/// Line patterns that go with the colours, so that a print in grey can be read too.
inline constexpr std::array<std::string_view, 4> series_dashes{"", "7 3", "2 3", "9 3 2 3"};

constexpr std::string_view series_colour(std::size_t series) { return series_colours[series % series_colours.size()]; }
constexpr std::string_view series_dash(std::size_t series) { return series_dashes[series % series_dashes.size()]; }

inline constexpr std::string_view text_colour = "#222222";
inline constexpr std::string_view quiet_colour = "#595959";
inline constexpr std::string_view grid_colour = "#E4E4E4";

/// About how wide a text is in pixels: tabled widths of a common sans-serif face, a little generous.
inline double text_width(std::string_view text, double size) {
  double width = 0;
  for (const char letter : text) {
    if ((static_cast<unsigned char>(letter) & 0xC0U) == 0x80U) { continue; }  // inside a UTF-8 character
    if (std::string_view("iljtfrI.,:;|!'()[] ").find(letter) != std::string_view::npos) {
      width += 0.34;
    } else if (std::string_view("mwMW%@").find(letter) != std::string_view::npos) {
      width += 0.9;
    } else {
      width += letter >= 'A' && letter <= 'Z' ? 0.7 : 0.58;
    }
  }
  return width * size;
}

struct TextLook {
  double size = 12;
  std::string_view anchor = "start";  ///< start, middle or end
  std::string_view colour = text_colour;
  bool bold = false;
  double angle = 0;  ///< degrees, clockwise, about the anchor
};

struct LineLook {
  std::string_view colour = text_colour;
  double width = 1;
  std::string_view dash = "";
};

/// Collects the elements of one picture. Nothing has an id, so that many pictures can stand in one page.
class SvgCanvas {
 public:
  SvgCanvas(double width, double height, std::string_view title) {
    const std::string size = pixels(width) + "\" height=\"" + pixels(height);
    body_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"" + size + "\" viewBox=\"0 0 " +
            pixels(width) + " " + pixels(height) +
            "\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n<title>" +
            escaped(title) + "</title>\n<rect width=\"" + size + "\" fill=\"#FFFFFF\"/>\n";
  }

  void text(XY at, std::string_view content, const TextLook& look = {}) {
    body_ += "<text x=\"" + pixels(at.x) + "\" y=\"" + pixels(at.y) + "\" font-size=\"" + pixels(look.size) +
             "\" fill=\"" + std::string(look.colour) + "\"";
    if (look.anchor != "start") { body_ += " text-anchor=\"" + std::string(look.anchor) + "\""; }
    if (look.bold) { body_ += " font-weight=\"bold\""; }
    if (look.angle != 0) {
      body_ += " transform=\"rotate(" + pixels(look.angle) + " " + pixels(at.x) + " " + pixels(at.y) + ")\"";
    }
    body_ += ">" + escaped(content) + "</text>\n";
  }

  void line(XY from, XY to, const LineLook& look = {}) {
    body_ += "<line x1=\"" + pixels(from.x) + "\" y1=\"" + pixels(from.y) + "\" x2=\"" + pixels(to.x) + "\" y2=\"" +
             pixels(to.y) + "\"" + stroke(look) + "/>\n";
  }

  /// Points that fall on the same tenth of a pixel as the one before are left out.
  void polyline(const std::vector<XY>& points, const LineLook& look) {
    body_ += "<polyline fill=\"none\" stroke-linejoin=\"round\"" + stroke(look) + " points=\"";
    std::string last;
    for (const XY& point : points) {
      const std::string place = pixels(point.x) + "," + pixels(point.y);
      if (place != last) { body_ += (last.empty() ? "" : " ") + place; }
      last = place;
    }
    body_ += "\"/>\n";
  }

  /// A filled box; `note` is shown when the pointer rests on it.
  void box(const Area& area, std::string_view colour, std::string_view note) {
    body_ += "<rect x=\"" + pixels(area.left) + "\" y=\"" + pixels(area.top) + "\" width=\"" +
             pixels(area.right - area.left) + "\" height=\"" + pixels(area.bottom - area.top) + "\" fill=\"" +
             std::string(colour) + "\"><title>" + escaped(note) + "</title></rect>\n";
  }

  /// The marker of a series, about 10 pixels wide: shapes differ as well as colours.
  void marker(XY at, std::size_t series, std::string_view note, double scale = 1) {
    static constexpr std::array<std::string_view, 5> shapes{"M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
                                                            "M-4.5 -4.5H4.5V4.5H-4.5Z", "M0 -6L6 0L0 6L-6 0Z",
                                                            "M0 -5.5L5.5 4.5H-5.5Z", "M0 5.5L5.5 -4.5H-5.5Z"};
    body_ += "<g transform=\"translate(" + pixels(at.x) + " " + pixels(at.y) + ")" +
             (scale == 1 ? std::string() : " scale(" + short_decimal(scale, 2) + ")") + "\"><title>" + escaped(note) +
             "</title><path d=\"" + std::string(shapes[series % shapes.size()]) + "\" fill=\"" +
             std::string(series_colour(series)) + "\" stroke=\"#FFFFFF\"/></g>\n";
  }

  /// The finished picture.
  std::string finish() const { return body_ + "</svg>\n"; }

 private:
  static std::string pixels(double value) { return short_decimal(value, 1); }
  static std::string stroke(const LineLook& look) {
    std::string text = " stroke=\"" + std::string(look.colour) + "\" stroke-width=\"" + pixels(look.width) + "\"";
    if (!look.dash.empty()) { text += " stroke-dasharray=\"" + std::string(look.dash) + "\""; }
    return text;
  }

  std::string body_;
};

}  // namespace example
