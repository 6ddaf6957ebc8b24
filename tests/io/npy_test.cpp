#include "radapt/io/npy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "../support/shared_data.hpp"
#include "../support/temporary_folder.hpp"
#include "radapt/core/random.hpp"

using namespace std::string_literals;
using radapt::Index;
using radapt_test::TemporaryFolder;

namespace {

const std::string float32 = "'descr': '<f4', ", row_order = "'fortran_order': False, ";

/// A file with this dictionary as header, padded to `header_bytes`, and these elements.
template <class T>
std::string npy(const std::string& dictionary, const std::vector<T>& elements, char version = 1,
                std::size_t header_bytes = 118) {
  std::string header = dictionary;
  header.resize(std::max(header_bytes, dictionary.size() + 1), ' ');
  header.back() = '\n';
  std::string file = "\x93NUMPY"s + version + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) { file += static_cast<char>(header.size() >> (8 * i) & 255); }
  file += header;
  file.append(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
  return file;
}

std::string matrix(const std::string& shape, const std::vector<float>& elements, char version = 1,
                   std::size_t header_bytes = 118) {
  return npy("{" + float32 + row_order + "'shape': " + shape + ", }", elements, version, header_bytes);
}

struct Loaded {
  std::vector<Index> shape;
  std::vector<float> values;
  bool operator==(const Loaded&) const = default;
};

Loaded load(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.npy", std::as_bytes(std::span<const char>(bytes.data(), bytes.size())));
  const auto m = radapt::load_npy(path);
  return {{m.shape()[0], m.shape()[1]}, {m.data(), m.data() + m.size()}};
}

/// The message of the error that loading gives; empty if there is none.
std::string complaint(const std::string& bytes) {
  try {
    load(bytes);
    return "";
  } catch (const radapt::error& problem) { return problem.what(); }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const std::vector<float> six{1, 2, 3, 4, 5, 6};
const Loaded two_by_three{{2, 3}, six};

}  // namespace

TEST_CASE("a matrix is read back as it was written") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.npy";
  radapt::Random random(1);
  for (const auto& shape : {std::array<Index, 2>{3, 5}, {1, 1}, {200, 17}, {0, 4}, {4, 0}}) {
    auto values = xt::xtensor<float, 2>::from_shape(shape);
    for (float& value : values) { value = static_cast<float>(random.normal()); }
    if (values.size() > 3) {
      values.flat(0) = -0.0f;
      values.flat(1) = INFINITY;
      values.flat(2) = 1e-42f;  // subnormal
    }
    radapt::save_npy(path, values);
    const auto back = radapt::load_npy(path);
    REQUIRE(back.shape() == values.shape());
    CHECK(std::equal(values.begin(), values.end(), back.begin(),
                     [](float a, float b) { return a == b && std::signbit(a) == std::signbit(b); }));
  }
}

TEST_CASE("what is written is what NumPy writes") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.npy";
  const xt::xtensor<float, 2> values{{1, 2, 3}, {4, 5, 6}};
  radapt::save_npy(path, values);
  const auto bytes = radapt::read_file(path);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(text.substr(0, 8) == "\x93NUMPY\x01\0"s);
  CHECK(has(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  CHECK(bytes.size() % 64 == 24);  // the data begin at a multiple of 64
  CHECK(std::memcmp(bytes.data() + bytes.size() - 24, six.data(), 24) == 0);
  // An expression that is not in memory, and one in column order.
  radapt::save_npy(path, values * 2.0f);
  CHECK(radapt::load_npy(path)(1, 2) == 12);
  const xt::xtensor<float, 2, xt::layout_type::column_major> columns = values;
  radapt::save_npy(path, columns);
  CHECK(radapt::load_npy(path) == values);
}

TEST_CASE("saving anything but two dimensions is an error that leaves the old file") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.npy";
  radapt::save_npy(path, xt::xtensor<float, 2>{{7}});
  CHECK_THROWS_WITH_AS(radapt::save_npy(path, xt::xtensor<float, 1>{1, 2}), doctest::Contains("two dimensions, got 1"),
                       radapt::error);
  const xt::xarray<float> cube = xt::xarray<float>::from_shape({2, 2, 2});
  CHECK_THROWS_AS(radapt::save_npy(path, cube), radapt::error);
  CHECK(radapt::load_npy(path)(0, 0) == 7);
  CHECK_THROWS_AS(radapt::save_npy(folder.path() / "no" / "m.npy", xt::xtensor<float, 2>{{7}}), radapt::error);
}

TEST_CASE("every spelling of a header is read") {
  CHECK(load(matrix("(2, 3)", six)) == two_by_three);
  CHECK(load(matrix("(2,3,)", six)) == two_by_three);
  CHECK(load(npy("{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}", six)) == two_by_three);
  CHECK(load(npy("{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,3)}", six)) == two_by_three);
  CHECK(load(matrix("(2, 3)", six, 2)) == two_by_three);
  CHECK(load(matrix("(2, 3)", six, 3)) == two_by_three);
  // Lengths whose lower byte has its upper bit set.
  for (const std::size_t length :
       {std::size_t{80}, std::size_t{128}, std::size_t{182}, std::size_t{255}, std::size_t{1000}, std::size_t{65000}}) {
    CAPTURE(length);
    CHECK(load(matrix("(2, 3)", six, 1, length)) == two_by_three);
    CHECK(load(matrix("(2, 3)", six, 2, length)) == two_by_three);
  }
  const std::string columns = "{" + float32 + "'fortran_order': True, 'shape': (2, 3), }";
  CHECK(load(npy(columns, std::vector<float>{1, 4, 2, 5, 3, 6})) == two_by_three);
  CHECK(load(matrix("(0, 512)", {})) == Loaded{{0, 512}, {}});
  CHECK(load(matrix("(18446744073709551615, 0)", {})) == Loaded{{18446744073709551615u, 0}, {}});
  const std::string endless = "{" + float32 + "'fortran_order': True, 'shape': (0, 18446744073709551615), }";
  CHECK(load(npy(endless, std::vector<float>{})) == Loaded{{0, 18446744073709551615u}, {}});
}

TEST_CASE("float16 widens exactly, in both orders") {
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x3555};
  const std::vector<float> values{1, -2, 0x1p-24f, 65504, -0.0f, 0x1.554p-2f};
  CHECK(load(npy("{'descr': '<f2', " + row_order + "'shape': (2, 3), }", halves)) == Loaded{{2, 3}, values});
  CHECK(load(npy("{'descr': '<f2', 'fortran_order': True, 'shape': (3, 2), }", halves)).values ==
        std::vector<float>{1, 65504, -2, -0.0f, 0x1p-24f, 0x1.554p-2f});
}

TEST_CASE("another type or shape is one clear error") {
  const auto typed = [](const std::string& type) {
    return complaint(npy("{'descr': " + type + ", " + row_order + "'shape': (2, 3), }", six));
  };
  CHECK(has(typed("'<f8'"), "'<f4' or '<f2'), got '<f8'. Convert the array in NumPy with astype('<f4')."));
  CHECK(has(typed("'>f4'"), "got '>f4'"));
  CHECK(has(typed("'|O'"), "got '|O'"));
  CHECK(has(typed("[('x', '<f4')]"), "expected"));
  CHECK(has(complaint(matrix("(6,)", six)), "expected 2 dimensions, got 1"));
  CHECK(has(complaint(matrix("()", six)), "expected 2 dimensions, got 0"));
  CHECK(has(complaint(matrix("(1, 2, 3)", six)), "expected 2 dimensions, got 3"));
}

TEST_CASE("data that disagree with the header are an error before memory is taken") {
  CHECK(has(complaint(matrix("(2, 4)", six)), "expected the elements of shape (2, 4) after the header, got 24 bytes"));
  CHECK(has(complaint(matrix("(2, 2)", six)), "got 24 bytes"));
  CHECK(has(complaint(matrix("(4294967296, 4294967296)", six)), "got 24 bytes"));  // 2^64 elements
  CHECK(has(complaint(matrix("(4611686018427387905, 6)", six)), "got 24 bytes"));  // 2^64 + 24 bytes
  CHECK(has(complaint(matrix("(100000000000, 10)", six)), "got 24 bytes"));
  CHECK(has(complaint(matrix("(0, 5)", six)), "got 24 bytes"));
}

TEST_CASE("a malformed file is one clear error") {
  const std::string good = matrix("(2, 3)", six);
  for (std::size_t length = 0; length < good.size(); ++length) {
    REQUIRE(has(complaint(good.substr(0, length)), "radapt: reading "));
  }
  CHECK(has(complaint(""), "got an empty file"));
  CHECK(has(complaint("PK\3\4 a zip archive"), "expected a .npy file"));
  CHECK(has(complaint("\x93NUMPY\x04\0"s + good.substr(8)), "version 1, 2 or 3 of .npy, got 4"));
  for (const char* dictionary : {"", "{}", "{", "{'descr'}", "{'descr': '<f4'}", "{'descr: '<f4'", "['descr']",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
                                 "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': 6}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
                                 "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
                                 "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3"}) {
    CAPTURE(dictionary);
    CHECK(has(complaint(npy(dictionary, six)), "radapt: reading "));
  }
  std::string shape = "(";
  for (int i = 0; i < 5000; ++i) { shape += "1,"; }
  CHECK(has(complaint(matrix(shape + ")", six)), "a shape of up to 32 lengths"));
}

TEST_CASE("flipped bytes give a matrix or one clear error, nothing else") {
  radapt::Random random(5);
  const std::string good = matrix("(2, 3)", six);
  int accepted = 0, rejected = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = good;
    for (std::uint32_t flips = 1 + random.below(2); flips > 0; --flips) {
      // The first 75 bytes hold the header's text; the rest is padding and elements.
      const auto at = random.below(2) == 0 ? random.below(static_cast<std::uint32_t>(bytes.size())) : random.below(75);
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    }
    const std::string problem = complaint(bytes);
    (problem.empty() ? accepted : rejected) += 1;
    REQUIRE((problem.empty() || problem.rfind("radapt: reading ", 0) == 0));
  }
  CHECK(accepted > 50);
  CHECK(rejected > 500);
}

TEST_CASE("labels are read as int64") {
  const TemporaryFolder folder;
  const auto load_labels = [&](const std::string& bytes) {
    const auto path = folder.write("labels.npy", std::as_bytes(std::span<const char>(bytes.data(), bytes.size())));
    const auto labels = radapt::load_npy_labels(path);
    return std::vector<std::int64_t>(labels.begin(), labels.end());
  };
  const std::vector<std::int64_t> labels{3, -1, 1LL << 40};
  CHECK(load_labels(npy("{'descr': '<i8', " + row_order + "'shape': (3,), }", labels)) == labels);
  const std::vector<std::int32_t> narrow{3, -1, 7};
  CHECK(load_labels(npy("{'descr': '<i4', 'fortran_order': True, 'shape': (3,), }", narrow)) ==
        std::vector<std::int64_t>{3, -1, 7});
  CHECK_THROWS_WITH_AS(load_labels(npy("{'descr': '<i8', " + row_order + "'shape': (3, 1), }", labels)),
                       doctest::Contains("expected 1 dimension, got 2"), radapt::error);
  CHECK_THROWS_WITH_AS(load_labels(npy("{'descr': '<i8', " + row_order + "'shape': (4,), }", labels)),
                       doctest::Contains("shape (4,) after the header, got 24 bytes"), radapt::error);
}

TEST_CASE("real features and labels are read") {
  const auto features =
      radapt::load_npy(radapt_test::shared_data("data/clip_vitb32_features/food10_test_features.npy"));
  const auto labels =
      radapt::load_npy_labels(radapt_test::shared_data("data/clip_vitb32_features/food10_test_labels.npy"));
  REQUIRE(features.shape()[0] == labels.shape()[0]);
  REQUIRE(features.shape()[1] == 512);
  for (Index row = 0; row < features.shape()[0]; ++row) {
    double squares = 0;
    for (Index i = 0; i < 512; ++i) {
      squares += static_cast<double>(features(row, i)) * static_cast<double>(features(row, i));
    }
    // Norm and quotient were rounded to float16, by at most 2^-11 each, and squaring doubles that.
    REQUIRE(std::abs(squares - 1) < 4 * 0x1p-11);
    REQUIRE(labels(row) >= 0);
    REQUIRE(labels(row) < 10);
  }
  CHECK_THROWS_WITH_AS(
      radapt::load_npy_labels(radapt_test::shared_data("data/clip_vitb32_features/food10_test_features.npy")),
      doctest::Contains("('<i4' or '<i8'), got '<f2'"), radapt::error);
}
