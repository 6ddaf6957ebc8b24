// Safetensors files: every rule of the format one by one, element types, shards, and writing what the reference writes.
#include "radapt/io/safetensors.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "support/shared_data.hpp"

namespace {

namespace fs = std::filesystem;
namespace st = radapt::safetensors;
using radapt_test::shared_data;
using st::DType;

/// A folder of its own, removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "radapt_safetensors_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) { throw std::runtime_error("no temporary folder"); }
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
};

std::string content(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
void put(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::span<const std::byte> bytes_of_text(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string length_field(std::uint64_t length) {
  std::string field(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) { field[i] = static_cast<char>((length >> (8 * i)) & 255U); }
  return field;
}
/// A file with this header and that many bytes of data.
std::string file_of(const std::string& header, std::size_t data = 0) {
  return length_field(header.size()) + header + std::string(data, '\1');
}
std::string message_of(const std::string& file) {
  try {
    st::parse(bytes_of_text(file), "it");
  } catch (const radapt::error& problem) { return problem.what(); }
  return "no error";
}
bool says(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

#define CHECK_SAYS(message, part)                \
  do {                                           \
    const std::string said = message;            \
    CHECK_MESSAGE(says(said, part), said);       \
    CHECK_MESSAGE(says(said, "radapt: "), said); \
  } while (false)

/// A list without the innermost braces of a header entry.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + offsets + "]}";
}

TEST_CASE("a file is read as it is described") {
  // The header is padded to an odd length, so that every tensor is unaligned.
  const std::string header = "{\"__metadata__\":{\"z\":\"1\",\"a\":\"\\u00e4\"},\"x\":" + entry("F32", "2,1", "1,9") +
                             ",\"flag\":" + entry("U8", "1", "0,1") + ",\"empty\":" + entry("F64", "3,0", "9,9") +
                             ",\"scalar\":" + entry("I64", "", "9,17") + "} \n";
  std::string text = length_field(header.size()) + header + '\7';
  const float x[2] = {1.5F, -2.0F};
  text.append(reinterpret_cast<const char*>(x), sizeof(x));
  const std::int64_t scalar = -12345678901;
  text.append(reinterpret_cast<const char*>(&scalar), sizeof(scalar));
  const st::File file = st::parse(bytes_of_text(text), "it");
  CHECK(file.names() == std::vector<std::string>{"empty", "flag", "scalar", "x"});
  CHECK(file.read<float>("x") == std::vector<float>{1.5F, -2.0F});
  CHECK(file.at("x").shape == std::vector<std::uint64_t>{2, 1});
  CHECK(file.read<std::uint8_t>("flag") == std::vector<std::uint8_t>{7});
  CHECK(file.read<double>("empty").empty());
  CHECK(file.scalar<std::int64_t>("scalar") == scalar);
  CHECK(file.metadata() == st::Metadata{{"z", "1"}, {"a", "\u00e4"}});
  CHECK(file.metadata().contains("a"));
  CHECK_FALSE(file.contains("y"));
  CHECK(st::parse(bytes_of_text(file_of("{}")), "it").tensors().empty());
}

TEST_CASE("each malformed layout is refused for its own reason") {
  CHECK_SAYS(message_of(""), "at least the 8 bytes of the header length, got 0 bytes");
  CHECK_SAYS(message_of(std::string(7, '\0')), "got 7 bytes");
  CHECK_SAYS(message_of(length_field(100'000'001) + "{}"), "at most 100000000 bytes, got 100000001");
  CHECK_SAYS(message_of(length_field(~std::uint64_t{0}) + "{}"), "got 18446744073709551615");
  CHECK_SAYS(message_of(length_field(3) + "{}"), "a header of 3 bytes, got only 2 bytes");
  CHECK_SAYS(message_of(length_field(0)), "begins with '{', got an empty header");
  CHECK_SAYS(message_of(file_of(" {}")), "begins with '{', got another character");
  CHECK_SAYS(message_of(file_of("\xef\xbb\xbf{}")), "begins with '{'");
  CHECK_SAYS(message_of(file_of("[]")), "begins with '{'");
  CHECK_SAYS(message_of(file_of(std::string("{}\0 {", 5))), "a zero byte");
}

TEST_CASE("each malformed header is refused for its own reason") {
  const auto with = [](const std::string& value) { return file_of("{\"t\":" + value + "}", 4); };
  CHECK_SAYS(message_of(file_of("{")), "valid JSON in UTF-8");
  CHECK_SAYS(message_of(file_of("{} x")), "valid JSON in UTF-8");
  CHECK_SAYS(message_of(file_of("{}{}")), "valid JSON in UTF-8");
  CHECK_SAYS(message_of(file_of("{\"\xff\":" + entry("U8", "", "0,1") + "}", 1)), "valid JSON in UTF-8");
  CHECK_SAYS(message_of(file_of("{\"\\ud800\":" + entry("U8", "", "0,1") + "}", 1)), "valid JSON in UTF-8");
  CHECK_SAYS(message_of(with("3")), "an object for 't', got the number 3");
  CHECK_SAYS(message_of(with("null")), "an object for 't', got null");
  CHECK_SAYS(message_of(with("[1]")), "an object for 't', got a list");
  CHECK_SAYS(message_of(with("\"F32\"")), "an object for 't', got the text 'F32'");
  CHECK_SAYS(message_of(with(entry("F31", "1", "0,4"))), "a tag of the format such as F32 or BF16, got 'F31'");
  CHECK_SAYS(message_of(with(entry("f32", "1", "0,4"))), "got 'f32'");
  CHECK_SAYS(message_of(with("{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}")), "a text, got the number 7");
  CHECK_SAYS(message_of(with("{\"dtype\":[],\"shape\":[1],\"data_offsets\":[0,4]}")), "a text, got a list");
  CHECK_SAYS(message_of(with("{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}")), "a list of whole numbers");
  CHECK_SAYS(message_of(with(entry("F32", "-1", "0,4"))), "whole numbers from 0 to 2^64-1, got the number -1");
  CHECK_SAYS(message_of(with(entry("F32", "1.0", "0,4"))), "whole numbers from 0 to 2^64-1, got the number 1.0");
  CHECK_SAYS(message_of(with(entry("F32", "1e999", "0,4"))), "valid JSON");
  CHECK_SAYS(message_of(with(entry("F32", "18446744073709551616", "0,4"))), "whole numbers from 0 to 2^64-1");
  CHECK_SAYS(message_of(with(entry("F32", "[1]", "0,4"))), "got a list");
  CHECK_SAYS(message_of(with(entry("F32", "true", "0,4"))), "got a boolean");
  CHECK_SAYS(message_of(with(entry("F32", "1", "0"))), "two numbers, got 1");
  CHECK_SAYS(message_of(with(entry("F32", "1", "0,4,4"))), "two numbers, got more");
  CHECK_SAYS(message_of(with(entry("F32", "1", "0,-4"))), "whole numbers");
  CHECK_SAYS(message_of(with("{\"shape\":[1],\"data_offsets\":[0,4]}")), "the key 'dtype', got none");
  CHECK_SAYS(message_of(with("{\"dtype\":\"F32\",\"data_offsets\":[0,4]}")), "the key 'shape', got none");
  CHECK_SAYS(message_of(with("{\"dtype\":\"F32\",\"shape\":[1]}")), "the key 'data_offsets', got none");
  CHECK_SAYS(message_of(with("{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}")),
             "each key once, got 'dtype' twice");
  CHECK_SAYS(message_of(with("{\"dtype\":\"F32\",\"shape\":[1],\"strides\":[1],\"data_offsets\":[0,4]}")),
             "only 'dtype', 'shape' and 'data_offsets', got 'strides'");
}

TEST_CASE("names and metadata that are no map of distinct texts are refused") {
  const std::string t = entry("U8", "", "0,1");
  CHECK_SAYS(message_of(file_of("{\"t\":" + t + ",\"t\":" + t + "}", 1)), "distinct tensor names, got 't' twice");
  CHECK_SAYS(message_of(file_of("{\"t\":" + t + ",\"\\u0074\":" + t + "}", 1)), "'t' twice");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":{},\"__metadata__\":{}}")), "'__metadata__' twice");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}")), "distinct names, got 'a' twice");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":{\"a\":1}}")), "a text for 'a', got the number 1");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":{\"a\":null}}")), "a text for 'a', got null");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":{\"a\":{}}}")), "a text for 'a', got an object");
  CHECK_SAYS(message_of(file_of("{\"__metadata__\":[]}")), "an object for '__metadata__', got a list");
  // A hundred thousand levels must not exhaust the stack.
  CHECK_SAYS(message_of(file_of("{\"a\":" + std::string(100'000, '['))), "an object for 'a', got a list");
}

TEST_CASE("offsets that do not tile the data are refused") {
  const auto two = [](const std::string& a, const std::string& b, std::size_t data) {
    return file_of("{\"a\":" + a + ",\"b\":" + b + "}", data);
  };
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "1", "1,5") + "}", 5)), "begins at byte 0");
  CHECK_SAYS(message_of(two(entry("F32", "1", "0,4"), entry("F32", "1", "5,9"), 9)), "begins at byte 4, where other");
  CHECK_SAYS(message_of(two(entry("F32", "1", "0,4"), entry("F32", "1", "5,9"), 9)), "5 (hole)");
  CHECK_SAYS(message_of(two(entry("F32", "1", "0,4"), entry("F32", "1", "2,6"), 6)), "2 (overlap)");
  CHECK_SAYS(message_of(two(entry("F32", "1", "0,4"), entry("F32", "1", "0,4"), 4)), "0 (overlap)");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "1", "4,0") + "}", 4)), "in ascending order, got 4, 0");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "2", "0,4") + "}", 4)), "8 bytes for F32 [2], got 4");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "", "0,8") + "}", 8)), "4 bytes for F32 [], got 8");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "0", "0,4") + "}", 4)), "0 bytes for F32 [0], got 4");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "2", "0,8") + "}", 4)), "within the 4 bytes");
  CHECK_SAYS(message_of(file_of("{\"a\":" + entry("F32", "1", "0,4") + "}", 5)), "fill all 5 bytes");
  CHECK_SAYS(message_of(file_of("{}", 1)), "fill all 1 bytes after the header, got 0");
  // A zero-size tensor must lie on a border as well.
  CHECK_SAYS(message_of(two(entry("F32", "1", "0,4"), entry("F32", "0", "2,2"), 4)), "2 (overlap)");
}

TEST_CASE("sizes are computed without overflow, and elements end on whole bytes") {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets, std::size_t n) {
    return message_of(file_of("{\"a\":" + entry(dtype, shape, offsets) + "}", n));
  };
  // 2^62 * 4 bytes, 2^32 * 2^32 elements, 2^61 * 8 bits: each product is 0 modulo 2^64.
  CHECK_SAYS(one("F32", "4611686018427387904", "0,0", 0), "whose size fits 64 bits");
  CHECK_SAYS(one("U8", "4294967296,4294967296", "0,0", 0), "whose size fits 64 bits");
  CHECK_SAYS(one("U8", "2305843009213693952", "0,0", 0), "whose size fits 64 bits");
  CHECK_SAYS(one("U8", "18446744073709551615,0,18446744073709551615", "0,0", 0), "whose size fits 64 bits");
  CHECK_SAYS(one("F4", "3", "0,1", 1), "whole bytes");
  CHECK_SAYS(one("F6_E2M3", "2", "0,1", 1), "whole bytes");
  CHECK(one("F4", "4", "0,2", 2) == "no error");
  CHECK(one("F6_E3M2", "4", "0,3", 3) == "no error");
  CHECK(one("F32", "0", "0,0", 0) == "no error");
}

TEST_CASE("every tag is known, with the reference's order and widths") {
  const std::vector<std::pair<std::string, std::uint64_t>> expected{
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  REQUIRE(st::dtype_facts.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto type = static_cast<DType>(i);
    CHECK(st::tag(type) == expected[i].first);
    CHECK(st::bits(type) == expected[i].second);
    CHECK(st::dtype_of(expected[i].first) == type);
    // Eight elements occupy as many bytes as one has bits.
    const std::size_t size = static_cast<std::size_t>(expected[i].second);
    const std::string text =
        file_of("{\"a\":" + entry(expected[i].first, "8", "0," + std::to_string(size)) + "}", size);
    CHECK(st::parse(bytes_of_text(text), "it").at("a").dtype == type);
  }
  CHECK_FALSE(st::dtype_of("").has_value());
}

TEST_CASE("elements convert exactly, or round to nearest, or are refused") {
  const std::vector<float> singles{1.0F, -0.1F, 65504.0F, std::ldexp(1.0F, -24)};
  const std::vector<double> doubles{1.0, 0.1, -1e30, 3.0000000000000004};
  const std::vector<radapt::f16> halves{radapt::f16(0.1F), radapt::f16(-2.0F)};
  const std::vector<radapt::bf16> brains{radapt::bf16(0.1F), radapt::bf16(1e38F)};
  const std::vector<std::int64_t> longs{-1, std::numeric_limits<std::int64_t>::max()};
  const std::vector<std::uint64_t> large{5, std::uint64_t{1} << 63};
  const std::vector<std::int8_t> small{-128, 127};
  const std::vector<std::uint16_t> shorts{65535};
  const std::vector<double> huge{1e39};
  const std::vector<std::uint8_t> truths{1, 0};
  const std::map<std::string, st::Entry> entries{
      {"F32", {DType::F32, {4}, st::bytes_of(singles)}},   {"F64", {DType::F64, {4}, st::bytes_of(doubles)}},
      {"F16", {DType::F16, {2}, st::bytes_of(halves)}},    {"BF16", {DType::BF16, {2}, st::bytes_of(brains)}},
      {"I64", {DType::I64, {2}, st::bytes_of(longs)}},     {"U64", {DType::U64, {2}, st::bytes_of(large)}},
      {"I8", {DType::I8, {2}, st::bytes_of(small)}},       {"U16", {DType::U16, {1}, st::bytes_of(shorts)}},
      {"huge", {DType::F64, {1}, st::bytes_of(huge)}},     {"BOOL", {DType::BOOL, {2}, st::bytes_of(truths)}},
      {"F8", {DType::F8_E4M3, {2}, st::bytes_of(truths)}}, {"C64", {DType::C64, {1}, st::bytes_of(huge)}}};
  const Folder folder;
  st::write(folder.path / "t.safetensors", entries);
  const st::File file = st::open(folder.path / "t.safetensors");
  CHECK(file.read<float>("F32") == singles);
  CHECK(file.read<double>("F32") == std::vector<double>(singles.begin(), singles.end()));
  CHECK(file.read<double>("F64") == doubles);
  CHECK(file.read<float>("F64") == std::vector<float>{1.0F, 0.1F, -1e30F, 3.0F});
  CHECK(file.read<float>("F16") == std::vector<float>{static_cast<float>(halves[0]), -2.0F});
  CHECK(file.read<double>("BF16") == std::vector<double>{static_cast<float>(brains[0]), static_cast<float>(brains[1])});
  CHECK(file.read<radapt::bf16>("BF16")[0].bits == brains[0].bits);
  CHECK(file.read<radapt::f16>("F32")[3].bits == 1);
  CHECK(file.read<std::int64_t>("I64") == longs);
  CHECK(file.read<std::int64_t>("I8") == std::vector<std::int64_t>{-128, 127});
  CHECK(file.read<std::int64_t>("U16") == std::vector<std::int64_t>{65535});
  CHECK(file.read<std::int32_t>("I8") == std::vector<std::int32_t>{-128, 127});
  CHECK(file.read<std::int32_t>("U16") == std::vector<std::int32_t>{65535});
  CHECK_THROWS_WITH_AS(file.read<std::int32_t>("I64"),
                       doctest::Contains("from -2147483648 to 2147483647, got 9223372036854775807"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<std::int32_t>("F32"), doctest::Contains("converts to int32, got F32"), radapt::error);
  CHECK(file.read<std::int64_t>("BOOL") == std::vector<std::int64_t>{1, 0});
  CHECK(file.read<std::uint8_t>("BOOL") == truths);
  CHECK_THROWS_WITH_AS(file.read<std::int64_t>("U64"), doctest::Contains("9223372036854775808"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<float>("huge"), doctest::Contains("values that a float can hold"), radapt::error);
  CHECK(file.read<double>("huge") == huge);
  CHECK_THROWS_WITH_AS(file.read<float>("I64"), doctest::Contains("converts to float, got I64"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<std::int64_t>("F32"), doctest::Contains("converts to int64, got F32"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<std::uint8_t>("I8"), doctest::Contains("converts to uint8, got I8"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<float>("F8"), doctest::Contains("got F8_E4M3"), radapt::error);
  CHECK_THROWS_WITH_AS(file.read<double>("C64"), doctest::Contains("got C64"), radapt::error);
  CHECK_THROWS_WITH_AS(file.scalar<float>("F32"), doctest::Contains("one number, got shape [4]"), radapt::error);
  CHECK(file.scalar<double>("huge") == 1e39);
}

TEST_CASE("an absent tensor is answered with names like it") {
  const std::string u = entry("U8", "0", "0,0");
  const std::string text = file_of("{\"visual.proj\":" + u + ",\"module.logit_scale\":" + u + ",\"x\":" + u + "}");
  const st::File file = st::parse(bytes_of_text(text), "it");
  CHECK_THROWS_WITH_AS(file.at("visual.prj"),
                       "radapt: reading 'it': expected a tensor 'visual.prj', got none of that "
                       "name among 3. Names like it: 'visual.proj'",
                       radapt::error);
  CHECK_THROWS_WITH_AS(file.at("logit_scale"), doctest::Contains("Names like it: 'module.logit_scale'"), radapt::error);
  CHECK_THROWS_WITH_AS(file.at("something else"), doctest::Contains("among 3"), radapt::error);
}

TEST_CASE("names in messages are made printable and short") {
  const std::string u = entry("F32", "1", "0,1");
  CHECK_SAYS(message_of(file_of("{\"a\\u001b[2J\":" + u + "}", 1)), "'a\\x1b[2J'");
  const std::string message = message_of(file_of("{\"" + std::string(100'000, 'a') + "\":" + u + "}", 1));
  CHECK(message.size() < 1000);
  CHECK_SAYS(message, "aaa...'");
}

TEST_CASE("every file of the fixtures comes out of the writer byte for byte") {
  const Folder folder;
  int files = 0;
  for (const auto& item : fs::recursive_directory_iterator(shared_data("fixtures"))) {
    if (item.path().extension() != ".safetensors") { continue; }
    const st::File file = st::open(item.path());
    st::write(folder.path / "again.safetensors", file.tensors(), file.metadata());
    CHECK_MESSAGE(content(folder.path / "again.safetensors") == content(item.path()), item.path().string());
    ++files;
  }
  CHECK(files >= 15);  // six models with several files each, losses and preprocessing
}

TEST_CASE("the writer orders by type, then by name, pads with spaces and escapes as the reference does") {
  const std::vector<float> one{1.0F};
  const std::vector<std::int64_t> whole{2};
  const std::vector<std::uint8_t> byte{3};
  const Folder folder;
  st::write(folder.path / "t",
            {{"b\n\"\u00e4", {DType::F32, {}, st::bytes_of(one)}},
             {"a", {DType::F32, {1, 1}, st::bytes_of(one)}},
             {"z", {DType::I64, {1}, st::bytes_of(whole)}},
             {"c", {DType::U8, {1}, st::bytes_of(byte)}}},
            {{"format", "pt"}, {"about", "x/y"}});
  std::string header = "{\"__metadata__\":{\"format\":\"pt\",\"about\":\"x/y\"},\"z\":" + entry("I64", "1", "0,8") +
                       ",\"a\":" + entry("F32", "1,1", "8,12") + ",\"b\\n\\\"\u00e4\":" + entry("F32", "", "12,16") +
                       ",\"c\":" + entry("U8", "1", "16,17") + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  const std::string text = content(folder.path / "t");
  CHECK(text.substr(0, 8) == length_field(header.size()));
  CHECK(text.substr(8, header.size()) == header);
  CHECK(text.size() == 8 + header.size() + 17);
  st::write(folder.path / "empty", {}, {});
  CHECK(content(folder.path / "empty") == file_of("{}      "));
}

TEST_CASE("the writer refuses what no reader would take, and leaves the old file") {
  const Folder folder;
  const fs::path path = folder.path / "t";
  put(path, "old");
  const std::vector<float> one{1.0F};
  CHECK_THROWS_WITH_AS(st::write(path, {{"a", {DType::F32, {2}, st::bytes_of(one)}}}),
                       doctest::Contains("8 bytes for F32 [2], got 4"), radapt::error);
  CHECK_THROWS_WITH_AS(st::write(path, {{"a", {DType::F32, {std::uint64_t{1} << 63, 8}, st::bytes_of(one)}}}),
                       doctest::Contains("fits 64 bits"), radapt::error);
  CHECK_THROWS_WITH_AS(st::write(path, {{"__metadata__", {DType::F32, {1}, st::bytes_of(one)}}}),
                       doctest::Contains("reserved"), radapt::error);
  CHECK_THROWS_WITH_AS(st::write(path, {{"\xff", {DType::F32, {1}, st::bytes_of(one)}}}), doctest::Contains("UTF-8"),
                       radapt::error);
  CHECK(content(path) == "old");
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
}

/// Two shards and their index; each part can be replaced.
struct Sharded {
  Folder folder;
  fs::path index = folder.path / "model.safetensors.index.json";
  Sharded() {
    const std::vector<float> values{1.0F, 2.0F};
    st::write(folder.path / "one.safetensors",
              {{"a", {DType::F32, {2}, st::bytes_of(values)}}, {"b", {DType::F32, {2}, st::bytes_of(values)}}});
    st::write(folder.path / "two.safetensors", {{"c", {DType::F32, {2}, st::bytes_of(values)}}}, {{"k", "v"}});
    map("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"");
  }
  void map(const std::string& pairs) {
    put(index, "{\"metadata\":{\"total_size\":24},\"weight_map\":{" + pairs + "}}");
  }
  std::string message() const {
    try {
      st::open(folder.path);
    } catch (const radapt::error& problem) { return problem.what(); }
    return "no error";
  }
};

TEST_CASE("shards are one file; index and shards must agree") {
  Sharded sharded;
  const st::File file = st::open(sharded.index);
  CHECK(file.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(file.read<float>("c") == std::vector<float>{1.0F, 2.0F});
  CHECK(file.metadata() == st::Metadata{{"format", "pt"}, {"k", "v"}});
  CHECK(sharded.message() == "no error");
  sharded.map("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\",\"c\":\"two.safetensors\"");
  CHECK_SAYS(sharded.message(), "only tensors that the index places there, got 'b'");
  sharded.map("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"d\":\"two.safetensors\"");
  CHECK_SAYS(sharded.message(), "tensor 'd' as the index says");
  sharded.map("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"");
  CHECK(st::open(sharded.folder.path).names() == std::vector<std::string>{"a", "b"});
  sharded.map("\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"");
  CHECK_SAYS(sharded.message(), "every key once, got 'a' twice");
  sharded.map("\"a\":\"three.safetensors\"");
  CHECK_SAYS(sharded.message(), "three.safetensors': expected a readable file");
  sharded.map("\"a\":\"../one.safetensors\"");
  CHECK_SAYS(sharded.message(), "shards in the folder of the index, got '../one.safetensors'");
  sharded.map("\"a\":\"..\"");
  CHECK_SAYS(sharded.message(), "shards in the folder of the index");
  sharded.map("\"a\":1");
  CHECK_SAYS(sharded.message(), "a file name for tensor 'a', got JSON of type number");
  sharded.map("");
  CHECK_SAYS(sharded.message(), "at least one tensor");
  put(sharded.index, "{}");
  CHECK_SAYS(sharded.message(), "an object 'weight_map', got none");
  put(sharded.index, "{\"weight_map\":[]}");
  CHECK_SAYS(sharded.message(), "an object 'weight_map', got JSON of type array");
  put(sharded.index, "{\"weight_map\":" + std::string(1000, '[') + std::string(1000, ']') + "}");
  CHECK_SAYS(sharded.message(), "levels of nesting");
  put(sharded.index, "[");
  CHECK_SAYS(sharded.message(), "valid JSON");
  // A damaged shard is found although its tensors are not used.
  sharded.map("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"");
  put(sharded.folder.path / "two.safetensors", content(sharded.folder.path / "two.safetensors") + "x");
  CHECK_SAYS(sharded.message(), "two.safetensors': expected tensors that fill all 9 bytes");
}

TEST_CASE("the sharded fixture holds the tensors of the single file") {
  const st::File single = st::open(shared_data("fixtures/tiny_clip_quickgelu_f16/model.safetensors"));
  const st::File sharded = st::open(shared_data("fixtures/tiny_clip_quickgelu_f16_sharded"));
  int compared = 0;
  for (const auto& [name, tensor] : sharded.tensors()) {
    const st::Tensor& other = single.at(name);
    CHECK(tensor.dtype == other.dtype);
    CHECK(tensor.shape == other.shape);
    CHECK(std::equal(tensor.data.begin(), tensor.data.end(), other.data.begin(), other.data.end()));
    ++compared;
  }
  CHECK(compared > 90);
}

TEST_CASE("a folder is searched in open_clip's order") {
  const Folder folder;
  const auto found = [&] { return st::find_checkpoint(folder.path).filename().string(); };
  CHECK_THROWS_WITH_AS(found(), doctest::Contains("Checkpoints in pickle form"), radapt::error);
  for (const char* name : {"model.safetensors.index.json", "model.safetensors", "open_clip_pytorch_model.safetensors",
                           "open_clip_model.safetensors"}) {
    put(folder.path / name, "");
    CHECK(found() == name);
  }
  CHECK_THROWS_WITH_AS(st::open(folder.path), doctest::Contains("open_clip_model.safetensors': expected at least"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(st::open(folder.path / "nothing"), doctest::Contains("No such file or directory"),
                       radapt::error);
}

TEST_CASE("tensors stay valid when the file object moves") {
  st::File file = st::open(shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors"));
  const st::Tensor before = file.at("logit_scale");
  const st::File moved = std::move(file);
  CHECK(before.data.data() == moved.at("logit_scale").data.data());
  CHECK(std::isfinite(moved.scalar<float>("logit_scale")));
}

}  // namespace
