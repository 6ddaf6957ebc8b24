#pragma once
/// Writing safetensors files in the byte order of the reference writer.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/core/tensors.hpp"
#include "radapt/io/atomic_file.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors_header.hpp"
#include "radapt/io/safetensors_tensor.hpp"

namespace radapt::safetensors {

/// What `write` takes per tensor: type, shape and bytes, row-major and little-endian.
using Entry = Tensor;

/// The shape of a model's tensor as files have it.
template <class T>
std::vector<std::uint64_t> shape_of(const radapt::Tensor<T>& tensor) {
  std::vector<std::uint64_t> shape;
  for (Index i = 0; i < tensor.rank(); ++i) { shape.push_back(tensor.extent(i)); }
  return shape;
}

/// Tensors in the order of the file: later types of `DType` first, names ascending by byte within a type.
inline std::vector<const std::pair<const std::string, Entry>*> file_order(const std::map<std::string, Entry>& tensors) {
  std::vector<const std::pair<const std::string, Entry>*> order;
  order.reserve(tensors.size());
  for (const auto& item : tensors) { order.push_back(&item); }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.dtype > b->second.dtype; });
  return order;
}

/// The header as text, padded with spaces to a multiple of eight bytes; `what` begins error messages. Errors: a tensor
/// whose bytes do not fit its type and shape, a reserved name, a name that is not UTF-8, a header beyond the limit.
inline std::string header_text(const std::map<std::string, Entry>& tensors, const Metadata& metadata,
                               const std::string& what) {
  const auto text_of = [&what](const std::string& plain) {
    try {
      return nlohmann::json(plain).dump(-1, ' ', false, nlohmann::json::error_handler_t::strict);
    } catch (const nlohmann::json::exception&) {
      fail({.what = what, .expected = "names and metadata in UTF-8", .got = quoted_name(plain), .hint = {}});
    }
  };
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    std::string_view separator;
    for (const auto& [name, value] : metadata) {
      text += separator;
      text += text_of(name) + ":" + text_of(value);
      separator = ",";
    }
    text += "}";
  }
  std::uint64_t offset = 0;
  for (const auto* item : file_order(tensors)) {
    const auto& [name, entry] = *item;
    if (name == "__metadata__") {
      fail({.what = what, .expected = "tensor names", .got = "the reserved name '__metadata__'", .hint = {}});
    }
    const auto length = byte_size(entry.dtype, entry.shape);
    if (!length || *length != entry.data.size() || *length > std::numeric_limits<std::uint64_t>::max() - offset) {
      fail({.what = what + ": tensor " + quoted_name(name),
            .expected = (length ? std::to_string(*length) + " bytes" : std::string("a size that fits 64 bits")) +
                        " for " + std::string(tag(entry.dtype)) + " " + spell(entry.shape),
            .got = std::to_string(entry.data.size()),
            .hint = {}});
    }
    if (text.size() > 1) { text += ","; }
    text += text_of(name) + ":{\"dtype\":\"" + std::string(tag(entry.dtype)) + "\",\"shape\":[";
    for (std::size_t i = 0; i < entry.shape.size(); ++i) {
      text += (i == 0 ? "" : ",") + std::to_string(entry.shape[i]);
    }
    text += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + *length) + "]}";
    offset += *length;
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > largest_header) {
    fail({.what = what,
          .expected = "a header of at most " + std::to_string(largest_header) + " bytes",
          .got = std::to_string(text.size()),
          .hint = "Spread the tensors over several files"});
  }
  return text;
}

/// Writes a file that every safetensors reader accepts, atomically. `metadata` comes first, in its own order; the entry
/// "format": "pt" is what transformers asks for. A file that the reference wrote comes out byte for byte the same when
/// its tensors and metadata are written again.
inline void write(const std::filesystem::path& path, const std::map<std::string, Entry>& tensors,
                  const Metadata& metadata = {{"format", "pt"}}) {
  const std::string header = header_text(tensors, metadata, "writing '" + path.string() + "'");
  write_atomically(path, [&](AtomicWriter& file) {
    std::array<std::byte, 8> length{};
    for (std::size_t i = 0; i < length.size(); ++i) {
      length[i] = static_cast<std::byte>((static_cast<std::uint64_t>(header.size()) >> (8 * i)) & 0xffU);
    }
    file.write(length);
    file.write(std::string_view(header));
    for (const auto* item : file_order(tensors)) { file.write(item->second.data); }
  });
}

/// The bytes of contiguous numbers, for an Entry.
template <class T>
std::span<const std::byte> bytes_of(std::span<const T> values) {
  return std::as_bytes(values);
}
/// The bytes of a vector's numbers, for an Entry.
template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

}  // namespace radapt::safetensors
