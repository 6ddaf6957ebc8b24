#pragma once
/// What a safetensors file is made of: element types, tensors as views of bytes, metadata.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace radapt::safetensors {

/// Element types in the order of the format; files list later types first. C64 is a complex number of two F32.
enum class DType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64
};

/// Tag and width in bits of an element type.
struct DTypeFacts {
  std::string_view tag;
  std::uint64_t bits;
};

/// Facts of every type, indexed by the value of the enumerator.
inline constexpr std::array<DTypeFacts, 22> dtype_facts{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};
static_assert(static_cast<std::size_t>(DType::U64) + 1 == dtype_facts.size());

/// The tag as it stands in files, for example "BF16".
constexpr std::string_view tag(DType type) { return dtype_facts[static_cast<std::size_t>(type)].tag; }
/// Width of one element in bits; below 8 for F4 and both F6.
constexpr std::uint64_t bits(DType type) { return dtype_facts[static_cast<std::size_t>(type)].bits; }

/// The type of a tag; nothing for an unknown tag.
constexpr std::optional<DType> dtype_of(std::string_view name) {
  for (std::size_t i = 0; i < dtype_facts.size(); ++i) {
    if (dtype_facts[i].tag == name) { return static_cast<DType>(i); }
  }
  return std::nullopt;
}

/// A tensor inside a file: little-endian, row-major, without strides. `data` may have any alignment, so elements are
/// read with memcpy (see `copy_elements`), and lives as long as the File it came from.
struct Tensor {
  DType dtype = DType::U8;
  std::vector<std::uint64_t> shape;  ///< empty for a scalar
  std::span<const std::byte> data;

  /// Number of elements; it is known to fit, because files are validated and `write` checks.
  std::uint64_t size() const {
    std::uint64_t n = 1;
    for (const std::uint64_t extent : shape) { n *= extent; }
    return n;
  }
};

/// Bytes that a tensor of this type and shape occupies; nothing if the number does not fit 64 bits, or if its elements
/// do not end on a whole byte. Extents of zero are left out of the overflow check's product, so that a zero cannot hide
/// an absurd shape.
inline std::optional<std::uint64_t> byte_size(DType type, std::span<const std::uint64_t> shape) {
  std::uint64_t total = bits(type);
  bool empty = false;
  for (const std::uint64_t extent : shape) {
    if (extent == 0) {
      empty = true;
    } else if (total > std::numeric_limits<std::uint64_t>::max() / extent) {
      return std::nullopt;
    } else {
      total *= extent;
    }
  }
  if (empty) { return 0; }
  if (total % 8 != 0) { return std::nullopt; }
  return total / 8;
}

/// A shape as text: `[3,4]`, `[]` for a scalar.
inline std::string spell(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  const std::size_t shown = std::min<std::size_t>(shape.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) { text += (i == 0 ? "" : ",") + std::to_string(shape[i]); }
  return text + (shown < shape.size() ? ",...]" : "]");
}

/// The `__metadata__` of a file: names and texts in the order of the file, which is kept so that a file can be written
/// again byte for byte. Transformers asks for an entry "format": "pt".
class Metadata {
 public:
  using value_type = std::pair<std::string, std::string>;

  Metadata() = default;
  Metadata(std::initializer_list<value_type> entries) {
    for (const value_type& entry : entries) { set(entry.first, entry.second); }
  }

  /// The text under `name`, or null.
  const std::string* find(std::string_view name) const {
    for (const value_type& entry : entries_) {
      if (entry.first == name) { return &entry.second; }
    }
    return nullptr;
  }
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// Adds an entry at the end, or replaces the text of an existing one.
  void set(std::string_view name, std::string_view text) {
    for (value_type& entry : entries_) {
      if (entry.first == name) {
        entry.second = text;
        return;
      }
    }
    entries_.emplace_back(name, text);
  }
  /// Adds an entry whose name is known not to be present; `set` would compare it with all others.
  void append(std::string name, std::string text) { entries_.emplace_back(std::move(name), std::move(text)); }

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool operator==(const Metadata&) const = default;

 private:
  std::vector<value_type> entries_;
};

}  // namespace radapt::safetensors
