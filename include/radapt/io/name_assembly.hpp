#pragma once
/// Reading a model's tensors out of a checkpoint of any origin, after comparing names and shapes as a whole.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/name_map.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors.hpp"

namespace radapt::names {

/// A tensor of the model: our name and the shape that the model has for it.
struct Wanted {
  std::string name;
  std::vector<std::uint64_t> shape;
};

/// A checkpoint compared with a model. Every mistake of the file is in one error; what is left can be copied.
/// It views the file's bytes, so that the File (or what it was moved to) has to outlive it.
class Assembly {
 public:
  /// Finds the tensors of `file` that make up each of `wanted`. With `tower` other than both, tensors of the other
  /// tower and `logit_scale` may be there or not. Leniencies: a leading `module.` is stripped, position_ids and
  /// OpenAI's size scalars are ignored, a scalar may have shape [1], and a position embedding another number of rows.
  /// Error: names all missing, unexpected and misshapen tensors and those that hold no floating-point numbers.
  Assembly(const safetensors::File& file, Origin origin, std::span<const Wanted> wanted, Tower tower = Tower::both)
      : what_("loading '" + file.name() + "' by " + std::string(name_of(origin)) + " names") {
    std::map<std::string_view, const safetensors::Tensor*> stored;
    for (const auto& [name, tensor] : file.tensors()) {
      if (!stored.emplace(without_module(name), &tensor).second) {
        fail({.what = what_,
              .expected = "every tensor once",
              .got = quoted_name(without_module(name)) + " with and without 'module.'",
              .hint = {}});
      }
    }
    std::set<std::string> used;
    for (const Wanted& tensor : wanted) { find(tensor, origin, stored, used); }
    for (const auto& [name, tensor] : stored) {
      const Tower owner = tower_of(name, origin);
      const bool outside = tower != Tower::both && owner != tower;
      if (!outside && !is_ignorable(name) && used.count(std::string(name)) == 0) {
        unexpected_.push_back(quoted_name(name));
      }
    }
    report(file);
  }

  /// Rows of our tensor `name` as the file has it; the model's own number for everything but position embeddings.
  /// Error: `name` was not wanted.
  std::uint64_t stored_rows(std::string_view name) const { return piece(name).rows; }

  /// Number of elements that `copy` writes for `name`. Error: `name` was not wanted.
  std::uint64_t stored_size(std::string_view name) const {
    std::uint64_t size = 0;
    for (const safetensors::Tensor& part : piece(name).parts) { size += part.size(); }
    return size;
  }

  /// Where our tensor `name` lies in the file as elements T in our order; null where it has to be copied: it is stored
  /// in another type, in several parts, transposed, or where no T may begin. Error: `name` was not wanted.
  template <class T>
  requires std::is_same_v<T, float> || std::is_same_v<T, double>
  const T* in_place(std::string_view name) const {
    const Piece& found = piece(name);
    constexpr auto type = std::is_same_v<T, float> ? safetensors::DType::F32 : safetensors::DType::F64;
    if (found.parts.size() != 1 || found.transposed || found.parts[0].dtype != type) { return nullptr; }
    const std::byte* const data = found.parts[0].data.data();
    return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0 ? reinterpret_cast<const T*>(data) : nullptr;
  }

  /// Writes our tensor `name`, row-major, to `destination`, which holds `stored_size(name)` elements. Exact, or rounded
  /// to nearest even where F64 becomes float. Errors: `name` was not wanted; an F64 too large for a float.
  template <class T>
  requires std::is_same_v<T, float> || std::is_same_v<T, double>
  void copy(std::string_view name, T* destination) const {
    const Piece& found = piece(name);
    for (const safetensors::Tensor& part : found.parts) {
      if (found.transposed) {
        safetensors::copy_transposed(part, destination, name);
      } else {
        safetensors::copy_elements(part, destination, name);
      }
      destination += part.size();
    }
  }

 private:
  struct Piece {
    std::vector<safetensors::Tensor> parts;
    bool transposed = false;
    std::uint64_t rows = 1;
  };

  const Piece& piece(std::string_view name) const {
    const auto found = pieces_.find(std::string(name));
    if (found == pieces_.end()) {
      fail({.what = what_, .expected = "a tensor of the model", .got = quoted_name(name), .hint = {}});
    }
    return found->second;
  }

  void find(const Wanted& tensor, Origin origin, const std::map<std::string_view, const safetensors::Tensor*>& stored,
            std::set<std::string>& used) {
    // What the origin cannot name is looked for under our own name, and reported like any other tensor.
    const Source source = source_of(tensor.name, origin).value_or(Source{{tensor.name}, false});
    const auto expected = source.part_shape(tensor.shape);
    Piece made;
    made.transposed = source.transposed;
    made.rows = tensor.shape.empty() ? 1 : tensor.shape[0];
    for (const std::string& name : source.names) {
      used.insert(name);
      const std::string shown =
          quoted_name(name) + (name == tensor.name ? std::string() : " (for " + quoted_name(tensor.name) + ")");
      const auto found = stored.find(name);
      if (found == stored.end()) {
        missing_.push_back(shown);
        continue;
      }
      const safetensors::Tensor& part = *found->second;
      if (!expected || !agrees(tensor, *expected, part.shape)) {
        misshapen_.push_back(shown + " is " + safetensors::spell(part.shape) + ", the model wants " +
                             safetensors::spell(expected ? *expected : tensor.shape));
        continue;
      }
      if (!holds_floats(part.dtype)) {
        mistyped_.push_back(shown + " is " + std::string(safetensors::tag(part.dtype)));
        continue;
      }
      if (is_position_embedding(tensor.name)) { made.rows = part.shape[0]; }
      made.parts.push_back(part);
    }
    if (!pieces_.emplace(tensor.name, std::move(made)).second) {
      fail({.what = what_,
            .expected = "every tensor wanted once",
            .got = quoted_name(tensor.name) + " twice",
            .hint = {}});
    }
  }

  static bool agrees(const Wanted& tensor, const std::vector<std::uint64_t>& expected,
                     const std::vector<std::uint64_t>& actual) {
    if (expected == actual) { return true; }
    if (is_position_embedding(tensor.name)) {
      return expected.size() == 2 && actual.size() == 2 && expected[1] == actual[1];
    }
    const auto is_scalar = [](const std::vector<std::uint64_t>& shape) {
      return shape.empty() || (shape.size() == 1 && shape[0] == 1);
    };
    return is_scalar(expected) && is_scalar(actual);
  }

  static bool holds_floats(safetensors::DType type) {
    using safetensors::DType;
    return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
  }

  /// Throws if anything was collected.
  void report(const safetensors::File& file) {
    std::string got;
    const auto add = [&got](std::vector<std::string>& items, const char* kind) {
      // A model has some hundred tensors; a file that is not a checkpoint at all may have any number of names.
      constexpr std::size_t most = 1000;
      if (items.empty()) { return; }
      std::sort(items.begin(), items.end());
      got += (got.empty() ? "" : "; ") + std::to_string(items.size()) + " " + kind + ": ";
      for (std::size_t i = 0; i < std::min(items.size(), most); ++i) { got += (i == 0 ? "" : ", ") + items[i]; }
      if (items.size() > most) { got += " and " + std::to_string(items.size() - most) + " more"; }
    };
    add(missing_, "missing");
    add(unexpected_, "unexpected");
    add(misshapen_, "misshapen");
    add(mistyped_, "without floating-point numbers");
    if (got.empty()) { return; }
    fail({.what = what_, .expected = "the tensors of the model", .got = std::move(got), .hint = hint(file)});
  }

  std::string hint(const safetensors::File& file) const {
    for (const auto& [name, tensor] : file.tensors()) {
      if (name.find(".adapter.") != std::string::npos && !unexpected_.empty()) {
        return "The file holds adapters; load it into a model that has them, or merge them before saving";
      }
    }
    return missing_.empty() ? "Is this a checkpoint of another architecture?"
                            : "Is this a checkpoint of another architecture or origin?";
  }

  std::string what_;
  std::map<std::string, Piece> pieces_;
  std::vector<std::string> missing_, unexpected_, misshapen_, mistyped_;
};

}  // namespace radapt::names
