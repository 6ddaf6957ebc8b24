#pragma once
/// Safetensors checkpoints: one file, or several shards with an index, opened without copying and read on demand.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/mapped_file.hpp"
#include "radapt/io/near_names.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors_elements.hpp"
#include "radapt/io/safetensors_header.hpp"
#include "radapt/io/safetensors_tensor.hpp"
#include "radapt/io/safetensors_write.hpp"

namespace radapt::safetensors {

/// An open checkpoint: tensors under their names. It owns the mapped files; every Tensor of it is a view of them.
class File {
 public:
  /// Where the tensors came from, for messages.
  const std::string& name() const { return name_; }
  /// Every tensor, ordered by name (bytewise).
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  /// Metadata of the file; of several shards all entries, the first shard's where two have the same name.
  const Metadata& metadata() const { return metadata_; }

  /// The names of all tensors, ascending.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    all.reserve(tensors_.size());
    for (const auto& [name, tensor] : tensors_) { all.push_back(name); }
    return all;
  }
  bool contains(std::string_view name) const { return tensors_.find(std::string(name)) != tensors_.end(); }

  /// The tensor `name`. Error: there is none; the message lists names like it.
  const Tensor& at(std::string_view name) const {
    const auto found = tensors_.find(std::string(name));
    if (found == tensors_.end()) {
      const std::string near = near_names(name, names());
      fail({.what = "reading '" + name_ + "'",
            .expected = "a tensor " + quoted_name(name),
            .got = "none of that name among " + std::to_string(tensors_.size()),
            .hint = near.empty() ? std::string() : "Names like it: " + near});
    }
    return found->second;
  }

  /// All elements of `name`, row-major. float, double, bf16 and f16 take F16, BF16, F32 and F64 (exact, or rounded to
  /// nearest even where narrowed); int64_t and int32_t take every integer type and BOOL; uint8_t takes U8 and BOOL.
  /// Errors: no such tensor, a type that does not convert, a value out of range.
  template <readable T>
  std::vector<T> read(std::string_view name) const {
    const Tensor& tensor = at(name);
    std::vector<T> values(static_cast<std::size_t>(tensor.size()));
    copy_elements(tensor, values.data(), name);
    return values;
  }

  /// The only element of `name`, whose shape is [] or [1]. Errors as for `read`, and any other shape.
  template <readable T>
  T scalar(std::string_view name) const {
    const Tensor& tensor = at(name);
    if (tensor.shape.size() > 1 || tensor.size() != 1) {
      fail({.what = "reading '" + name_ + "': tensor " + quoted_name(name),
            .expected = "one number",
            .got = "shape " + spell(tensor.shape),
            .hint = {}});
    }
    T value{};
    copy_elements(tensor, &value, name);
    return value;
  }

 private:
  friend File parse(std::span<const std::byte> bytes, const std::string& name);
  friend File open_single(const std::filesystem::path& path);
  friend File open_sharded(const std::filesystem::path& index);

  explicit File(std::string name) : name_(std::move(name)) {}

  std::string name_;
  std::vector<MappedFile> mappings_;
  std::map<std::string, Tensor> tensors_;
  Metadata metadata_;
};

/// A checkpoint in memory that the caller keeps alive; `name` stands for it in messages. Errors: see `parse_content`.
inline File parse(std::span<const std::byte> bytes, const std::string& name) {
  File file(name);
  Content content = parse_content(bytes, name);
  file.tensors_ = std::move(content.tensors);
  file.metadata_ = std::move(content.metadata);
  return file;
}

/// Opens one safetensors file. Errors: it cannot be mapped; see `parse_content`.
inline File open_single(const std::filesystem::path& path) {
  MappedFile mapping(path);
  File file = parse(mapping.bytes(), path.string());
  file.mappings_.push_back(std::move(mapping));
  return file;
}

/// The index of a sharded checkpoint, {"metadata": {...}, "weight_map": {tensor: file}}, as file -> tensors.
/// Errors: not such JSON, a shard's name that is more than a file name of the index's own folder.
inline std::map<std::string, std::vector<std::string>> read_shard_index(const std::filesystem::path& index) {
  const std::string what = "reading '" + index.string() + "'";
  // An index has one line per tensor, so its size is bounded like that of the headers it stands for.
  const nlohmann::json document = read_json(index, {.bytes = largest_header, .depth = 8});
  const auto map = document.find("weight_map");
  if (map == document.end() || !map->is_object()) {
    fail({.what = what,
          .expected = "an object 'weight_map'",
          .got = map == document.end() ? "none" : std::string("JSON of type ") + map->type_name(),
          .hint = {}});
  }
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      fail({.what = what,
            .expected = "a file name for tensor " + quoted_name(tensor),
            .got = std::string("JSON of type ") + shard.type_name(),
            .hint = {}});
    }
    const auto& file = shard.template get_ref<const std::string&>();
    // A name with a path in it could make the loader read any file of the machine.
    if (file.empty() || file == "." || file == ".." || file.find_first_of("/\\") != std::string::npos) {
      fail({.what = what, .expected = "shards in the folder of the index", .got = quoted_name(file), .hint = {}});
    }
    shards[file].push_back(tensor);
  }
  if (shards.empty()) { fail({.what = what, .expected = "at least one tensor", .got = "none", .hint = {}}); }
  return shards;
}

/// Opens every shard of an index. Index and shards must name the same tensors in the same places; the index's
/// `total_size` is a remark that writers compute in different ways, and is not compared. Errors: see `read_shard_index`
/// and `parse_content`; a tensor that only the index or only a shard knows.
inline File open_sharded(const std::filesystem::path& index) {
  File file(index.string());
  for (auto& [shard, expected] : read_shard_index(index)) {
    const std::filesystem::path path = index.parent_path() / shard;
    MappedFile mapping(path);
    Content content = parse_content(mapping.bytes(), path.string());
    for (const std::string& tensor : expected) {
      if (content.tensors.find(tensor) == content.tensors.end()) {
        fail({.what = "reading '" + path.string() + "'",
              .expected = "tensor " + quoted_name(tensor) + " as the index says",
              .got = "none of that name",
              .hint = "Index and shards belong to different checkpoints"});
      }
    }
    if (content.tensors.size() != expected.size()) {
      const std::vector<std::string> listed = expected;
      for (const auto& [tensor, unused] : content.tensors) {
        // The map's keys were visited in ascending order, so the list is sorted.
        if (!std::binary_search(listed.begin(), listed.end(), tensor)) {
          fail({.what = "reading '" + path.string() + "'",
                .expected = "only tensors that the index places there",
                .got = quoted_name(tensor),
                .hint = "Index and shards belong to different checkpoints"});
        }
      }
    }
    file.tensors_.merge(content.tensors);
    for (const auto& [name, text] : content.metadata) {
      if (!file.metadata_.contains(name)) { file.metadata_.set(name, text); }
    }
    file.mappings_.push_back(std::move(mapping));
  }
  return file;
}

/// The checkpoint inside a folder, by the order in which open_clip looks: open_clip_model.safetensors,
/// open_clip_pytorch_model.safetensors, model.safetensors, then model.safetensors.index.json. Error: none of them.
inline std::filesystem::path find_checkpoint(const std::filesystem::path& folder) {
  constexpr std::array<std::string_view, 4> candidates{"open_clip_model.safetensors",
                                                       "open_clip_pytorch_model.safetensors", "model.safetensors",
                                                       "model.safetensors.index.json"};
  std::error_code ignored;
  for (const std::string_view candidate : candidates) {
    const std::filesystem::path path = folder / candidate;
    if (std::filesystem::exists(path, ignored)) { return path; }
  }
  fail({.what = "looking for a checkpoint in '" + folder.string() + "'",
        .expected = "open_clip_model.safetensors, model.safetensors or model.safetensors.index.json",
        .got = "none",
        .hint = "Checkpoints in pickle form (.bin, .pt, .pth) have to be saved as safetensors first"});
}

/// Opens a checkpoint: a safetensors file, an index of shards (a name that ends in .index.json), or a folder that holds
/// one of them. Everything is validated; no element is read yet. Errors: see the functions it calls.
inline File open(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::path file = std::filesystem::is_directory(path, ignored) ? find_checkpoint(path) : path;
  return file.string().ends_with(".index.json") ? open_sharded(file) : open_single(file);
}

}  // namespace radapt::safetensors
