/// Reports: one well-formed page with everything inside it, escaped, and written whole or not at all.
#include "examples/support/report.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "examples/support/picture_file.hpp"
#include "examples/support/picture_world.hpp"
#include "examples/support/svg.hpp"
#include "radapt/io/image.hpp"
#include "xml_checker.hpp"

namespace {

using namespace example;
using radapt_test::XmlChecker;

std::string base64_of(std::string_view text) {
  return base64(std::as_bytes(std::span<const char>(text.data(), text.size())));
}

/// The bytes of base64 text that is known to be valid.
std::vector<std::byte> from_base64(std::string_view text) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char letter : text) {
    if (letter == '=') { break; }
    REQUIRE(letters.find(letter) != std::string_view::npos);
    bits = bits << 6 | static_cast<unsigned>(letters.find(letter));
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::byte>(bits >> count & 0xFFU));
    }
  }
  return bytes;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) { ++found; }
  return found;
}

/// A folder that is removed at the end.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("radapt_report_test_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

ReportTable accuracies() {
  return {"Accuracy", {"method", "ID", "OOD"}, {{"zero-shot", "62.0", "48.1"}, {"R-Adapter", "94.0", ""}}};
}

Report full_report() {
  const PictureWorld world;
  Report report("Robust fine-tuning", encode_png);
  report.paragraph("What was asked.");
  report.heading("Result");
  report.subheading("Accuracy");
  report.table(accuracies());
  BarChart chart;
  chart.groups = {"sketch"};
  chart.series = {{"R-Adapter", {0.5}, {}}};
  report.figure(to_svg(chart), "A chart");
  const Sample sample = world.sample(world.train_id(), 3);
  report.tiles({{sample.picture, "star", {{"zero-shot", "moon", false}, {"R-Adapter", "star", true}}}}, "Samples");
  report.picture(sample.picture, "One picture", 3);
  report.list({"first", "second"});
  report.code("line 1\n  line 2");
  return report;
}

}  // namespace

TEST_CASE("base64 is that of RFC 4648") {
  // The test vectors of section 10 of the RFC.
  CHECK(base64_of("") == "");
  CHECK(base64_of("f") == "Zg==");
  CHECK(base64_of("fo") == "Zm8=");
  CHECK(base64_of("foo") == "Zm9v");
  CHECK(base64_of("foob") == "Zm9vYg==");
  CHECK(base64_of("fooba") == "Zm9vYmE=");
  CHECK(base64_of("foobar") == "Zm9vYmFy");
  CHECK(base64_of("\xFB\xEF\xFF") == "++//");
}

TEST_CASE("a report is one well-formed page that needs nothing else") {
  const std::string page = full_report().html();
  CHECK(XmlChecker::problem(page) == "");
  CHECK(page.rfind("<!DOCTYPE html>\n", 0) == 0);
  CHECK(count(page, "<title>Robust fine-tuning</title>") == 1);
  CHECK(count(page, "<h1>Robust fine-tuning</h1>") == 1);
  CHECK(page.find("<meta charset=\"utf-8\" />") != std::string::npos);
  for (const char* outside : {"<script", "<link", "@import", "url(", "href=", "src=\"http"}) {
    CAPTURE(outside);
    CHECK(page.find(outside) == std::string::npos);
  }
  CHECK(XmlChecker::problem(Report("empty").html()) == "");
}

TEST_CASE("the parts stand in the order in which they were added") {
  const std::string page = full_report().html();
  std::size_t last = 0;
  for (const char* part :
       {"<p>What was asked.</p>", "<h2>Result</h2>", "<h3>Accuracy</h3>", "<caption>Accuracy</caption>", "<svg ",
        "<figcaption>A chart</figcaption>", "<div class=\"tile\">", "<figcaption>Samples</figcaption>",
        "<figcaption>One picture</figcaption>", "<li>first</li>\n<li>second</li>", "<pre>line 1\n  line 2</pre>"}) {
    CAPTURE(part);
    const std::size_t at = page.find(part, last);
    REQUIRE(at != std::string::npos);
    last = at;
  }
}

TEST_CASE("numbers of a table are aligned, its first column is its heading") {
  Report report("t");
  report.table(accuracies());
  const std::string page = report.html();
  CHECK(page.find(
            "<tr><th scope=\"row\">zero-shot</th><td class=\"number\">62.0</td><td class=\"number\">48.1</td></tr>") !=
        std::string::npos);
  CHECK(page.find("<th scope=\"col\">method</th><th scope=\"col\" class=\"number\">ID</th>") != std::string::npos);
  CHECK(page.find("<td class=\"number\"></td>") != std::string::npos);
  CHECK(page.find(".number { text-align: right;") != std::string::npos);
}

TEST_CASE("answers are marked right and wrong, in sign and in colour") {
  const std::string page = full_report().html();
  CHECK(page.find("<span class=\"wrong\">\xE2\x9C\x97 zero-shot: moon</span>") != std::string::npos);
  CHECK(page.find("<span class=\"right\">\xE2\x9C\x93 R-Adapter: star</span>") != std::string::npos);
}

TEST_CASE("text from outside cannot break a page") {
  const std::string evil = "</p></div><script>alert(\"x\")</script> & 'y' \xFF\x03";
  Report report(evil, encode_png);
  report.heading(evil);
  report.subheading(evil);
  report.paragraph(evil);
  report.list({evil});
  report.code(evil + "\n" + evil);
  report.table({evil, {evil, evil}, {{evil, evil}}});
  report.figure("<svg/>", evil);
  Random random(1);
  const Picture picture = draw({}, random, 8);
  report.picture(picture, evil);
  report.tiles({{picture, evil, {{evil, evil, true}}}}, evil);
  const std::string page = report.html();
  CHECK(XmlChecker::problem(page) == "");
  CHECK(page.find("<script") == std::string::npos);
  // Title twice, 3 + 1 + 2 in text, caption + 4 cells, 1, figcaption + alt, alt + title + 2 + figcaption.
  CHECK(count(page, "&lt;script&gt;") == 2 + 4 + 2 + 5 + 1 + 2 + 5);
}

TEST_CASE("the pictures in a page are the pictures that were given") {
  const PictureWorld world;
  const Sample sample = world.sample(world.shift("neon"), 11);
  Report report("pictures", encode_png);
  report.picture(sample.picture, "neon", 4);
  const std::string page = report.html();
  CHECK(page.find("<img width=\"128\" alt=\"neon\"") != std::string::npos);
  const std::string start = "data:image/png;base64,";
  const std::size_t from = page.find(start) + start.size();
  const radapt::Image image =
      radapt::decode_image(from_base64(page.substr(from, page.find('"', from) - from)), "embedded");
  CHECK(image.width == sample.picture.width);
  CHECK(image.height == sample.picture.height);
  CHECK(image.mode == radapt::PixelMode::rgb);
  CHECK(image.pixels == sample.picture.rgb);
}

TEST_CASE("a picture without an encoder, and a table that is not one, are clear errors") {
  Report report("plain");
  CHECK_THROWS_WITH_AS(report.picture(Picture(8, 8), "x"), doctest::Contains("a PNG encoder"), radapt::error);
  CHECK_THROWS_WITH_AS(report.table({"t", {}, {}}), doctest::Contains("at least one column"), radapt::error);
  CHECK_THROWS_WITH_AS(report.table({"t", {"a", "b"}, {{"1", "2"}, {"1"}}}),
                       doctest::Contains("row 1 of the table 't' of a report: expected 2 cells, got 1"), radapt::error);
  CHECK(XmlChecker::problem(report.html()) == "");  // what was refused left nothing behind
  CHECK(report.html().find("<table>") == std::string::npos);
}

TEST_CASE("a report is written whole, over an older one, with nothing left beside it") {
  const Folder folder;
  const std::filesystem::path path = folder.path / "report.html";
  Report first("first");
  first.write(path);
  CHECK(content(path) == first.html());
  const Report second = full_report();
  second.write(path);
  CHECK(content(path) == second.html());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), std::filesystem::directory_iterator()) == 1);
  CHECK_THROWS_AS(second.write(folder.path / "missing" / "report.html"), radapt::error);
  CHECK_THROWS_AS(second.write(folder.path), radapt::error);
}

TEST_CASE("a picture is saved as a PNG file with its pixels") {
  const Folder folder;
  Random random(9);
  const Picture picture = draw({}, random, 24);
  save_png(folder.path / "picture.png", picture);
  const radapt::Image image = radapt::open_image(folder.path / "picture.png");
  CHECK(image.pixels == picture.rgb);
  CHECK_THROWS_AS(encode_png(Picture()), radapt::error);
}
