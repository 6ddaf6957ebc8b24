#pragma once
/// A report as one HTML file that needs nothing else: text, tables, charts and pictures.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"

#include "markup.hpp"
#include "picture.hpp"

namespace example {

/// Turns a picture into the bytes of a PNG file.
using PngEncoder = std::function<std::vector<std::byte>(const Picture&)>;

/// Bytes as base64 text with padding (RFC 4648, section 4).
inline std::string base64(std::span<const std::byte> bytes) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) { text += k <= count ? letters[group >> (18 - 6 * k) & 63U] : '='; }
  }
  return text;
}

/// A table. The first column is text; the others are numbers and stand under each other.
struct ReportTable {
  std::string caption = {};
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
};

/// What one model says about a picture.
struct Verdict {
  std::string who = {};
  std::string answer = {};
  bool right = false;
};

/// A picture in a grid, with what is true about it and what was said about it.
struct Tile {
  Picture picture = {};
  std::string title = {};
  std::vector<Verdict> verdicts = {};
};

/// Collects the parts of a report in the order in which they are to be read.
///
/// The page is XHTML that is also valid HTML, without scripts, fonts or links. All text is escaped.
class Report {
 public:
  /// `encode` is needed for pictures only.
  explicit Report(std::string title, PngEncoder encode = {}) : title_(std::move(title)), encode_(std::move(encode)) {}

  void heading(std::string_view text) { element("h2", text); }
  void subheading(std::string_view text) { element("h3", text); }
  void paragraph(std::string_view text) { element("p", text); }

  /// Lines of text as they are, in a typewriter face: commands, types, printed output.
  void code(std::string_view text) {
    body_ += "<pre>";
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      body_ += (start == 0 ? "" : "\n") + escaped(text.substr(start, end - start));
      start = end + 1;
    }
    body_ += "</pre>\n";
  }

  void list(const std::vector<std::string>& items) {
    if (items.empty()) { return; }
    body_ += "<ul>\n";
    for (const std::string& item : items) { element("li", item); }
    body_ += "</ul>\n";
  }

  /// Errors: no columns, or a row with another number of cells than there are columns.
  void table(const ReportTable& table) {
    if (table.columns.empty()) {
      radapt::fail({.what = "the table '" + table.caption + "' of a report",
                    .expected = "at least one column",
                    .got = "none",
                    .hint = "Name the columns"});
    }
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      if (table.rows[r].size() != table.columns.size()) {
        radapt::fail({.what = "row " + std::to_string(r) + " of the table '" + table.caption + "' of a report",
                      .expected = std::to_string(table.columns.size()) + " cells",
                      .got = std::to_string(table.rows[r].size()),
                      .hint = "Use an empty text for a cell without a value"});
      }
    }
    body_ += "<div class=\"wide\"><table>\n";
    if (!table.caption.empty()) { element("caption", table.caption); }
    body_ += "<thead><tr>";
    for (std::size_t c = 0; c < table.columns.size(); ++c) { cell("th scope=\"col\"", "th", c, table.columns[c]); }
    body_ += "</tr></thead>\n<tbody>\n";
    for (const std::vector<std::string>& row : table.rows) {
      body_ += "<tr>";
      for (std::size_t c = 0; c < row.size(); ++c) {
        c == 0 ? cell("th scope=\"row\"", "th", c, row[c]) : cell("td", "td", c, row[c]);
      }
      body_ += "</tr>\n";
    }
    body_ += "</tbody>\n</table></div>\n";
  }

  /// A chart made by `to_svg`; it is put in as it is, so it has to be well-formed.
  void figure(const std::string& svg, std::string_view caption) {
    body_ += "<figure>\n" + svg;
    element("figcaption", caption);
    body_ += "</figure>\n";
  }

  /// One picture, each pixel shown `zoom` times as large, such as a contact sheet.
  void picture(const Picture& shown, std::string_view caption, std::size_t zoom = 1) {
    body_ += "<figure>\n" + image(shown, caption, shown.width * zoom) + "\n";
    element("figcaption", caption);
    body_ += "</figure>\n";
  }

  /// Pictures side by side, each with its title and what every model said, marked right or wrong.
  void tiles(const std::vector<Tile>& tiles, std::string_view caption) {
    body_ += "<figure>\n<div class=\"tiles\">\n";
    for (const Tile& tile : tiles) {
      body_ += "<div class=\"tile\">" + image(tile.picture, tile.title, 96);
      body_ += "<b>" + escaped(tile.title) + "</b>";
      for (const Verdict& verdict : tile.verdicts) {
        // A mark as well as a colour, for prints in grey and for readers who cannot tell the colours apart.
        body_ += std::string("<span class=\"") + (verdict.right ? "right" : "wrong") + "\">" +
                 (verdict.right ? "\xE2\x9C\x93 " : "\xE2\x9C\x97 ") + escaped(verdict.who) +
                 (verdict.who.empty() ? "" : ": ") + escaped(verdict.answer) + "</span>";
      }
      body_ += "</div>\n";
    }
    body_ += "</div>\n";
    element("figcaption", caption);
    body_ += "</figure>\n";
  }

  /// The whole page.
  std::string html() const {
    return "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta "
           "charset=\"utf-8\" />\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<title>" +
           escaped(title_) + "</title>\n<style>\n" + std::string(style) + "</style>\n</head>\n<body>\n<h1>" +
           escaped(title_) + "</h1>\n" + body_ + "</body>\n</html>\n";
  }

  /// Writes the page as a file: a reader sees the old file or the whole page, never a part. Errors: it cannot be
  /// written.
  void write(const std::filesystem::path& path) const { radapt::write_text_atomically(path, html()); }

 private:
  // The colours of right and wrong differ in lightness too and have a contrast of at least 4.5 on white.
  static constexpr std::string_view style =
      R"(body { font: 16px/1.5 Georgia, "Times New Roman", serif; color: #222; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1.2rem; }
h1, h2, h3, table, figcaption, .tile { font-family: Helvetica, Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.35rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { max-width: 46rem; }
pre { font: 13px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #595959; padding-bottom: .4rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; border-bottom: 1px solid #e4e4e4; font-weight: normal; }
thead th { border-bottom: 1.5px solid #222; font-weight: bold; }
.number { text-align: right; padding-left: .9rem; padding-right: 0; }
figure { margin: 1.4rem 0; }
figure svg, figure img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; color: #595959; margin-top: .4rem; max-width: 46rem; }
img { image-rendering: pixelated; display: block; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem .9rem; }
.tile { width: 9.2rem; font-size: .78rem; line-height: 1.35; break-inside: avoid; }
.tile b, .tile span { display: block; }
.tile b { margin-top: .3rem; }
.right { color: #00664b; }
.wrong { color: #a83200; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } }
)";

  void element(std::string_view tag, std::string_view text) {
    body_ += "<" + std::string(tag) + ">" + escaped(text) + "</" + std::string(tag) + ">\n";
  }
  void cell(std::string_view opening, std::string_view closing, std::size_t column, std::string_view text) {
    body_ += "<" + std::string(opening) + (column == 0 ? "" : " class=\"number\"") + ">" + escaped(text) + "</" +
             std::string(closing) + ">";
  }
  std::string image(const Picture& shown, std::string_view text, std::size_t width) const {
    if (!encode_) {
      radapt::fail({.what = "a picture in the report '" + title_ + "'",
                    .expected = "a PNG encoder",
                    .got = "none",
                    .hint = "Give one to the constructor of Report"});
    }
    return "<img width=\"" + std::to_string(width) + "\" alt=\"" + escaped(text) + "\" src=\"data:image/png;base64," +
           base64(encode_(shown)) + "\" />";
  }

  std::string title_;
  PngEncoder encode_;
  std::string body_;
};

}  // namespace example
