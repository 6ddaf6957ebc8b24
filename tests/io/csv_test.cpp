// Tables by RFC 4180, and what a table of captions becomes.
#include "radapt/io/csv.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "radapt/io/captioned_images.hpp"
#include "support/temporary_folder.hpp"

using radapt::parse_csv;
using Fields = std::vector<std::string>;
using Rows = std::vector<Fields>;

TEST_CASE("fields, quotes, separators and line breaks as RFC 4180 has them") {
  const auto table = parse_csv(
      "image,caption\r\n"
      "a.jpg,plain\r\n"
      "\"b.jpg\",\"with, comma\"\r\n"
      "c.jpg,\"say \"\"this\"\"\"\r\n"
      "d.jpg,\"two\r\nlines\nor three\"\n"
      "e.jpg,\n"
      ",\"\"\n"
      " f.jpg , spaces stay ",
      "t.csv");
  CHECK(table.columns() == Fields{"image", "caption"});
  CHECK(table.rows() == Rows{{"a.jpg", "plain"},
                             {"b.jpg", "with, comma"},
                             {"c.jpg", "say \"this\""},
                             {"d.jpg", "two\r\nlines\nor three"},
                             {"e.jpg", ""},
                             {"", ""},
                             {" f.jpg ", " spaces stay "}});
  CHECK(table.at(2, table.column("caption")) == "say \"this\"");
}

TEST_CASE("other separators, no header, no quotes, a byte order mark, empty lines") {
  CHECK(parse_csv("filepath\ttitle\nx.jpg\ta, b\n", "t", {.separator = '\t'}).rows() == Rows{{"x.jpg", "a, b"}});
  const auto bare = parse_csv("x,1\n\n\r\ny,2\n", "t", {.header = false});
  CHECK(bare.columns() == Fields{"0", "1"});
  CHECK(bare.rows() == Rows{{"x", "1"}, {"y", "2"}});
  CHECK(parse_csv("a\tb\n5\" pipe\t\"x\n", "t", {.separator = '\t', .quotes = false}).rows() ==
        Rows{{"5\" pipe", "\"x"}});
  CHECK(parse_csv("\xef\xbb\xbf"
                  "a,b\n1,2",
                  "t")
            .columns() == Fields{"a", "b"});
  // In a table of one column an empty line is an empty field.
  CHECK(parse_csv("a\n1\n\n2\n", "t").rows() == Rows{{"1"}, {""}, {"2"}});
  CHECK(parse_csv("a\r\n1\r\n2\r\n", "t").rows() == Rows{{"1"}, {"2"}});
  CHECK(parse_csv("a,b\n", "t").size() == 0);
  CHECK(parse_csv("", "t", {.header = false}).size() == 0);
  // A carriage return that ends no line belongs to the field.
  CHECK(parse_csv("a,b\n1\r2,3\r", "t").rows() == Rows{{"1\r2", "3\r"}});
}

TEST_CASE("every mistake has one error with its line") {
  const auto says = [](const char* text, const char* message) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(parse_csv(text, "t.csv"), doctest::Contains(message), radapt::error);
  };
  says("", "a line with column names, got an empty file");
  says("a,b\n1,2,3\n", "'t.csv', line 2: expected 2 fields, as in the first line, got 3");
  says("a,b\n\"x\ny\",1\n2\n", "line 4: expected 2 fields");
  says("a,b\r\n1,2\r\n3\r\n", "line 3: expected 2 fields");
  says("a,b\n1,\"2\n\n", "line 2: expected a quote that closes the field, got the end of the file");
  says("a,b\n1,\"2\"x\n", "a separator or the end of the line after a closing quote");
  says("a,b\n1,2\"\n", "a quote only at the beginning of a field");
  says("a,b,a\n1,2,3\n", "every column name once, got 'a' twice");
  CHECK_THROWS_WITH_AS(parse_csv("image,caption\n", "t").column("captoin"),
                       doctest::Contains("a column 'captoin', got 'image', 'caption'. Names like it: 'caption'"),
                       radapt::error);
  CHECK_THROWS_AS(parse_csv("a", "t", {.separator = '"'}), radapt::error);
  CHECK_THROWS_AS(radapt::read_csv("/nonexistent/t.csv"), radapt::error);
}

TEST_CASE("rows with the same image become one image with several captions") {
  const radapt_test::TemporaryFolder folder;
  const std::string text = "image,caption\nb.jpg,first\na.jpg,other\nb.jpg,second\n/abs/c.jpg,third\n";
  const auto table = radapt::read_csv(folder.write("captions.txt", std::as_bytes(std::span(text))));
  const auto images = radapt::captioned_images(table, "pictures");
  REQUIRE(images.size() == 3);
  CHECK(images[0].path == "pictures/b.jpg");
  CHECK(images[0].captions == Fields{"first", "second"});
  CHECK(images[0].id == 0);
  CHECK(images[1].path == "pictures/a.jpg");
  CHECK(images[2].path == "/abs/c.jpg");
  const auto all = radapt::list_captions(images);
  CHECK(all.captions == Fields{"first", "second", "other", "third"});
  CHECK(all.image_of_text == std::vector<std::int32_t>{0, 0, 1, 2});
  CHECK(radapt::list_captions(images, 1).captions == Fields{"first", "other", "third"});
  CHECK_THROWS_WITH_AS(radapt::captioned_images(table, "", {.image = "filepath"}),
                       doctest::Contains("a column 'filepath'"), radapt::error);
  CHECK_THROWS_AS(radapt::captioned_images(parse_csv("image,caption\n,x\n", "t"), ""), radapt::error);
}
