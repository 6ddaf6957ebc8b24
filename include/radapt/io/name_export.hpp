#pragma once
/// Our tensors as those of another origin, ready to be written.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/element.hpp"
#include "radapt/core/error.hpp"
#include "radapt/io/name_map.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors.hpp"

namespace radapt::names {

/// Numbers of the caller's, row-major.
template <class T>
struct Values {
  std::vector<std::uint64_t> shape;  ///< empty for a scalar
  const T* data = nullptr;
};

/// Tensors together with their bytes; give `entries()` to safetensors::write. Move-only, because entries view bytes.
class ExportedTensors {
 public:
  ExportedTensors() = default;
  ExportedTensors(ExportedTensors&&) = default;
  ExportedTensors& operator=(ExportedTensors&&) = default;
  ExportedTensors(const ExportedTensors&) = delete;
  ExportedTensors& operator=(const ExportedTensors&) = delete;

  const std::map<std::string, safetensors::Entry>& entries() const { return entries_; }

  /// Takes over the bytes of a tensor. Error: the name is taken.
  void add(const std::string& name, safetensors::DType type, std::vector<std::uint64_t> shape,
           std::vector<std::byte> bytes) {
    bytes_.push_back(std::move(bytes));
    if (!entries_.emplace(name, safetensors::Entry{type, std::move(shape), bytes_.back()}).second) {
      fail({.what = "exporting tensors",
            .expected = "every name once",
            .got = quoted_name(name) + " twice",
            .hint = {}});
    }
  }

 private:
  std::map<std::string, safetensors::Entry> entries_;
  std::vector<std::vector<std::byte>> bytes_;  // moving a vector leaves its bytes where they are
};

namespace detail {

/// `value` as a `Stored`, rounded to nearest even. Error: it is finite and would become infinite.
template <class Stored, class T>
Stored stored_value(T value, const std::string& name) {
  Stored stored{};
  if constexpr (std::is_same_v<Stored, float>) {
    stored = static_cast<float>(value);
  } else {
    stored = Stored(value);
  }
  if (std::isfinite(value) && !std::isfinite(static_cast<float>(stored))) {
    fail({.what = "exporting tensor " + quoted_name(name) + " as " + std::string(element_name<Stored>),
          .expected = "values that the type can hold",
          .got = std::to_string(value),
          .hint = "Write it as F32"});
  }
  return stored;
}

template <class Stored, class T>
void export_one(const std::string& ours, const Values<T>& values, const Source& source, safetensors::DType type,
                ExportedTensors& out) {
  const auto shape = source.part_shape(values.shape);
  if (!shape) {
    fail({.what = "exporting tensor " + quoted_name(ours),
          .expected = source.transposed ? "a matrix" : "a number of rows that three divides",
          .got = "shape " + safetensors::spell(values.shape),
          .hint = {}});
  }
  std::size_t count = 1;
  for (const std::uint64_t extent : *shape) { count *= static_cast<std::size_t>(extent); }
  const T* from = values.data;
  for (const std::string& name : source.names) {
    std::vector<std::byte> bytes(count * sizeof(Stored));
    // Ours is [rows, columns] and theirs [columns, rows] where it is transposed; otherwise one row of everything.
    const std::size_t rows = source.transposed ? static_cast<std::size_t>(values.shape[0]) : 1;
    const std::size_t columns = source.transposed ? static_cast<std::size_t>(values.shape[1]) : count;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        const Stored stored = stored_value<Stored>(from[r * columns + c], ours);
        std::memcpy(bytes.data() + (c * rows + r) * sizeof(Stored), &stored, sizeof(Stored));
      }
    }
    from += count;
    out.add(name, type, *shape, std::move(bytes));
  }
}

}  // namespace detail

/// Our tensors under the names and in the shapes of `origin`, stored as F32, F16 or BF16 (rounded to nearest even).
/// Errors: another type; a finite value that the type cannot hold; a tensor that the origin has no name for, such as an
/// adapter's in transformers (all of them in one error).
template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double> ExportedTensors
export_tensors(const std::map<std::string, Values<T>>& tensors, Origin origin, safetensors::DType type) {
  using safetensors::DType;
  if (type != DType::F32 && type != DType::F16 && type != DType::BF16) {
    fail({.what = "exporting tensors", .expected = "F32, F16 or BF16", .got = std::string(tag(type)), .hint = {}});
  }
  ExportedTensors out;
  std::string nameless;
  for (const auto& [ours, values] : tensors) {
    const auto source = source_of(ours, origin);
    if (!source) {
      nameless += (nameless.empty() ? "" : ", ") + quoted_name(ours);
    } else if (!nameless.empty()) {
      continue;  // only the list of names is still of interest
    } else if (type == DType::F32) {
      detail::export_one<float>(ours, values, *source, type, out);
    } else if (type == DType::F16) {
      detail::export_one<f16>(ours, values, *source, type, out);
    } else {
      detail::export_one<bf16>(ours, values, *source, type, out);
    }
  }
  if (!nameless.empty()) {
    fail({.what = "exporting tensors by " + std::string(name_of(origin)) + " names",
          .expected = "tensors that such a checkpoint has",
          .got = std::move(nameless),
          .hint = "Merge adapters into the weights first, or write them by open_clip names"});
  }
  return out;
}

}  // namespace radapt::names
