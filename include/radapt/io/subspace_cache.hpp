#pragma once
/// Leading singular spaces of weights in a file: a decomposition of every weight of a model takes minutes, and depends
/// on nothing but the weights and the rank rule.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/adapter/subspace.hpp"
#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"

namespace radapt {

/// Gives leading_subspaces of a weight, from memory where it was asked for before. An entry is found by the content of
/// the weight, not by a name: another weight, element type or rank rule is another entry.
///
///     radapt::SubspaceCache cache("spaces.safetensors");     // read if it exists
///     auto moved = radapt::transfer_adapters(0.5, adapted, target, options, cache);
///     cache.save();                                          // written atomically
class SubspaceCache {
 public:
  /// Reads the file if there is one; a file of another kind is an error.
  explicit SubspaceCache(std::filesystem::path path) : path_(std::move(path)) {
    if (!std::filesystem::exists(path_)) { return; }
    const safetensors::File file = safetensors::open(path_);
    const std::string* kind = file.metadata().find("radapt.subspaces");
    if (kind == nullptr || *kind != "1") { damaged("a file of something else"); }
    for (const std::string& name : file.names()) {
      if (!name.ends_with(".singular")) { continue; }
      const std::string key = name.substr(0, name.rfind('.'));
      Subspaces spaces{.left = matrix(file, key + ".left"),
                       .right = matrix(file, key + ".right"),
                       .singular = file.read<double>(name)};
      if (spaces.left.cols() != spaces.right.cols()) { damaged("bases of different ranks at '" + key + "'"); }
      entries_.emplace(key, std::move(spaces));
    }
  }

  /// The leading spaces of a weight (m, n).
  template <class T>
  Subspaces operator()(Matrix<T> weight, RankRule rule) {
    const std::string key = key_of(weight, rule);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      ++found_;
      return found->second;
    }
    ++computed_;
    return entries_.emplace(key, leading_subspaces(weight, rule)).first->second;
  }

  /// Writes all entries; a crash leaves the file as it was.
  void save() const {
    std::map<std::string, safetensors::Entry> tensors;
    const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape, const double* data) {
      std::size_t size = 1;
      for (const std::uint64_t extent : shape) { size *= static_cast<std::size_t>(extent); }
      tensors[name] = {.dtype = safetensors::DType::F64,
                       .shape = std::move(shape),
                       .data = std::as_bytes(std::span<const double>(data, size))};
    };
    const auto extents = [](const detail::EigenMatrix& m) {
      return std::vector<std::uint64_t>{static_cast<std::uint64_t>(m.rows()), static_cast<std::uint64_t>(m.cols())};
    };
    for (const auto& [key, spaces] : entries_) {
      add(key + ".left", extents(spaces.left), spaces.left.data());
      add(key + ".right", extents(spaces.right), spaces.right.data());
      add(key + ".singular", {spaces.singular.size()}, spaces.singular.data());
    }
    safetensors::write(path_, tensors, {{"radapt.subspaces", "1"}});
  }

  Index size() const { return entries_.size(); }
  /// How many weights were found, and how many had to be decomposed.
  Index found() const { return found_; }
  Index computed() const { return computed_; }

 private:
  [[noreturn]] void damaged(const std::string& got) const {
    fail({.what = "subspace cache '" + path_.string() + "'",
          .expected = "a file that SubspaceCache wrote",
          .got = got,
          .hint = "Delete it; it is made again"});
  }
  detail::EigenMatrix matrix(const safetensors::File& file, const std::string& name) const {
    if (!file.contains(name) || file.at(name).shape.size() != 2) { damaged("no matrix '" + name + "'"); }
    const auto& shape = file.at(name).shape;
    const std::vector<double> values = file.read<double>(name);
    detail::EigenMatrix m(static_cast<Eigen::Index>(shape[0]), static_cast<Eigen::Index>(shape[1]));
    std::copy(values.begin(), values.end(), m.data());
    return m;
  }

  /// Extents, element size, rule, and 64 bits of FNV-1a over the bytes of the weight.
  template <class T>
  static std::string key_of(Matrix<T> weight, RankRule rule) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::byte b : std::as_bytes(std::span<const T>(weight.data, weight.size()))) {
      hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3U;
    }
    char text[128];
    std::snprintf(text, sizeof text, "%zux%zu_f%zu_%s_%a_%016llx", weight.rows, weight.columns, 8 * sizeof(T),
                  rule.kind == RankRule::Kind::energy ? "energy" : "tolerance", rule.value,
                  static_cast<unsigned long long>(hash));
    return text;
  }

  std::filesystem::path path_;
  std::map<std::string, Subspaces> entries_;
  Index found_ = 0, computed_ = 0;
};

}  // namespace radapt
