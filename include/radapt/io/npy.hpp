#pragma once
/// Matrices of features, and labels, as NumPy files (.npy), from and to xtensor's containers.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "radapt/core/element.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/io/atomic_file.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/xtensor.hpp"

#if __has_include(<xtensor/io/xnpy.hpp>)
#include <xtensor/io/xnpy.hpp>
#else
#include <xtensor/xnpy.hpp>
#endif

namespace radapt {

namespace detail {

/// What the header of a .npy file says.
struct NpyHeader {
  std::string type;  // NumPy's array-protocol type string, such as "<f4"
  bool column_major = false;
  std::vector<Index> shape;
  std::size_t data_begin = 0;
};

/// Reads the header's text: a Python dictionary with exactly the keys descr, fortran_order and shape, in any order.
class NpyHeaderText {
 public:
  NpyHeaderText(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader parse() {
    NpyHeader header;
    bool seen[3] = {false, false, false};
    take('{');
    while (!accept('}')) {
      const std::string key = quoted();
      take(':');
      const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (which < 0 || seen[which]) { wrong("the keys descr, fortran_order and shape, each once", "'" + key + "'"); }
      seen[which] = true;
      switch (which) {
        case 0:
          header.type = type();
          break;
        case 1:
          header.column_major = truth();
          break;
        default:
          header.shape = shape();
          break;
      }
      if (!accept(',')) {
        take('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty()) { wrong("nothing after the dictionary", "'" + std::string(text_.substr(0, 8)) + "'"); }
    if (!(seen[0] && seen[1] && seen[2])) { wrong("the keys descr, fortran_order and shape", "fewer"); }
    return header;
  }

 private:
  [[noreturn]] void wrong(const std::string& expected, const std::string& got) const {
    fail({.what = "reading the header of '" + name_ + "'", .expected = expected, .got = got, .hint = {}});
  }
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) { text_.remove_prefix(1); }
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_.front() != c) { return false; }
    text_.remove_prefix(1);
    return true;
  }
  void take(char c) {
    if (!accept(c)) {
      wrong("'" + std::string(1, c) + "'", text_.empty() ? "its end" : "'" + std::string(1, text_[0]) + "'");
    }
  }
  std::string quoted() {
    skip_space();
    const char quote = text_.empty() ? '\0' : text_.front();
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) { wrong("a quoted word", "something else"); }
    std::string word(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return word;
  }
  std::string type() {
    skip_space();
    if (!text_.empty() && text_.front() == '[') { return "a record"; }
    return quoted();
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")}) {
      if (text_.substr(0, word.size()) == word) {
        text_.remove_prefix(word.size());
        return word == "True";
      }
    }
    wrong("True or False", "something else");
  }
  std::vector<Index> shape() {
    std::vector<Index> extents;
    take('(');
    while (!accept(')')) {
      skip_space();
      Index extent = 0;
      const auto [end, problem] = std::from_chars(text_.data(), text_.data() + text_.size(), extent);
      if (problem != std::errc{} || extents.size() == 32) { wrong("a shape of up to 32 lengths", "something else"); }
      extents.push_back(extent);
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      if (!accept(',')) {
        take(')');
        break;
      }
    }
    return extents;
  }

  std::string_view text_;
  const std::string& name_;
};

/// The header of the .npy file `bytes`, versions 1 to 3 of the format.
inline NpyHeader read_npy_header(std::string_view bytes, const std::string& name) {
  using namespace std::string_view_literals;
  const std::string what = "reading '" + name + "'";
  if (bytes.size() < 10 || bytes.substr(0, 6) != "\x93NUMPY"sv) {
    fail({.what = what, .expected = "a .npy file", .got = bytes.empty() ? "an empty file" : "other bytes", .hint = {}});
  }
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at])); };
  const std::size_t version = byte(6), length_bytes = version == 1 ? 2 : 4, begin = 8 + length_bytes;
  if (version < 1 || version > 3) {
    fail({.what = what, .expected = "version 1, 2 or 3 of .npy", .got = std::to_string(version), .hint = {}});
  }
  std::size_t length = 0;
  for (std::size_t i = length_bytes; i > 0 && bytes.size() >= begin; --i) { length = length << 8 | byte(7 + i); }
  if (bytes.size() < begin || bytes.size() - begin < length) {
    fail({.what = what, .expected = "a whole header", .got = std::to_string(bytes.size()) + " bytes", .hint = {}});
  }
  NpyHeader header = NpyHeaderText(bytes.substr(begin, length), name).parse();
  header.data_begin = begin + length;
  return header;
}

/// A file read whole, with its header understood.
struct NpyFile {
  std::string name;
  std::vector<std::byte> bytes;
  NpyHeader header;
};

inline NpyFile read_npy(const std::filesystem::path& path) {
  NpyFile file{.name = path.string(), .bytes = read_file(path), .header = {}};
  file.header = read_npy_header({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()}, file.name);
  return file;
}

/// The elements of a file whose type was found to be that of T. Fails unless it has N dimensions and exactly as many
/// bytes as its header says.
template <class T, std::size_t N>
xt::xtensor<T, N> npy_elements(const NpyFile& file) {
  const std::string what = "reading '" + file.name + "'";
  const NpyHeader& header = file.header;
  if (header.shape.size() != N) {
    fail({.what = what,
          .expected = std::to_string(N) + (N == 1 ? " dimension" : " dimensions"),
          .got = std::to_string(header.shape.size()),
          .hint = "Reshape the array in NumPy."});
  }
  std::array<Index, N> shape;
  std::string spelt;
  Index elements = 1;
  bool overflow = false, empty = false;
  for (Index i = 0; i < N; ++i) {
    shape[i] = header.shape[i];
    spelt += std::to_string(shape[i]) + (i + 1 < N ? ", " : N == 1 ? "," : "");
    empty = empty || shape[i] == 0;
    overflow = overflow || (shape[i] != 0 && elements > std::numeric_limits<Index>::max() / sizeof(T) / shape[i]);
    elements *= shape[i];
  }
  const Index stored = file.bytes.size() - header.data_begin;
  if (empty ? stored != 0 : overflow || elements * sizeof(T) != stored) {
    fail({.what = what,
          .expected = "the elements of shape (" + spelt + ") after the header",
          .got = std::to_string(stored) + " bytes",
          .hint = {}});
  }
  // xtensor's own reader takes a header at its word and misreads the length of some; after the checks above, what is
  // left is to copy.
  auto values = xt::xtensor<T, N>::from_shape(shape);
  if (stored == 0) { return values; }
  const std::byte* data = file.bytes.data() + header.data_begin;
  if (N == 1 || !header.column_major) {
    std::memcpy(values.data(), data, stored);
    return values;
  }
  const Index rows = shape[0], columns = shape[N - 1];
  for (Index column = 0; column < columns; ++column) {
    for (Index row = 0; row < rows; ++row, data += sizeof(T)) {
      std::memcpy(values.data() + row * columns + column, data, sizeof(T));
    }
  }
  return values;
}

}  // namespace detail

/// Writes `values`, a two-dimensional expression of xtensor with float elements, as the .npy file `path`: little-endian
/// float32 in row order, atomically. Fails for another number of dimensions.
template <class E>
void save_npy(const std::filesystem::path& path, const xt::xexpression<E>& values) {
  static_assert(std::is_same_v<typename E::value_type, float>,
                "radapt: save_npy writes float32; convert other elements with xt::cast<float> first.");
  const E& expression = values.derived_cast();
  if (expression.dimension() != 2) {
    fail({.what = "writing '" + path.string() + "'",
          .expected = "two dimensions",
          .got = std::to_string(expression.dimension()),
          .hint = {}});
  }
  const std::string bytes = xt::dump_npy(xt::xtensor<float, 2>(expression));
  write_atomically(path, [&](auto& file) { file.write(std::as_bytes(std::span(bytes.data(), bytes.size()))); });
}

/// The matrix in the .npy file `path`: float32, or float16, which widens exactly; in row or column order.
/// Fails for another type or number of dimensions, for a length that disagrees with the header, and for a file that is
/// not .npy. float64 is not narrowed: the caller should decide that precision may be lost.
inline xt::xtensor<float, 2> load_npy(const std::filesystem::path& path) {
  const detail::NpyFile file = detail::read_npy(path);
  if (file.header.type == "<f4") { return detail::npy_elements<float, 2>(file); }
  if (file.header.type != "<f2") {
    fail({.what = "reading '" + file.name + "'",
          .expected = "float32 or float16, little-endian ('<f4' or '<f2')",
          .got = "'" + file.header.type + "'",
          .hint = "Convert the array in NumPy with astype('<f4')."});
  }
  const auto stored = detail::npy_elements<std::uint16_t, 2>(file);
  auto values = xt::xtensor<float, 2>::from_shape(stored.shape());
  std::transform(stored.begin(), stored.end(), values.begin(),
                 [](std::uint16_t bits) { return static_cast<float>(f16::from_bits(bits)); });
  return values;
}

/// The class labels in the .npy file `path`: int32 or int64, one-dimensional. Fails as load_npy does.
inline xt::xtensor<std::int64_t, 1> load_npy_labels(const std::filesystem::path& path) {
  const detail::NpyFile file = detail::read_npy(path);
  if (file.header.type == "<i8") { return detail::npy_elements<std::int64_t, 1>(file); }
  if (file.header.type != "<i4") {
    fail({.what = "reading '" + file.name + "'",
          .expected = "int32 or int64, little-endian ('<i4' or '<i8')",
          .got = "'" + file.header.type + "'",
          .hint = "Convert the array in NumPy with astype('<i8')."});
  }
  const auto stored = detail::npy_elements<std::int32_t, 1>(file);
  auto labels = xt::xtensor<std::int64_t, 1>::from_shape(stored.shape());
  std::copy(stored.begin(), stored.end(), labels.begin());
  return labels;
}

}  // namespace radapt
