#pragma once
/// The architectures of the golden fixtures, and reading their tensors into weights.
#include <cstdint>
#include <string>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/io/safetensors.hpp"
#include "support/shared_data.hpp"

namespace radapt_test {

struct TinyQuickGelu : radapt::arch::Defaults {
  static constexpr const char* folder = "tiny_clip_quickgelu";
  static constexpr radapt::Index embed = 48, image = 32, patch = 8, vocabulary = 320, rank = 4;
  static constexpr radapt::TowerSize vision{96, 3, 3, 384}, text{64, 2, 2, 256};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};
struct TinyGelu : radapt::arch::Defaults {
  static constexpr const char* folder = "tiny_clip_gelu";
  static constexpr radapt::Index embed = 32, image = 30, patch = 10, vocabulary = 260, rank = 3;
  static constexpr radapt::TowerSize vision{64, 4, 2, 192}, text{48, 3, 3, 192};
};
struct TinyVocabulary : radapt::arch::Defaults {
  static constexpr const char* folder = "tiny_clip_vocab49408";
  static constexpr radapt::Index embed = 24, image = 32, patch = 16;
  static constexpr radapt::TowerSize vision{32, 2, 1, 128}, text{16, 2, 1, 64};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};

inline radapt::safetensors::File open_fixture(const std::string& name) {
  return radapt::safetensors::open(shared_data("fixtures/" + name));
}

/// Fills every tensor of `weights` that the file holds as prefix + name; returns how many.
template <class M, class T>
std::size_t read_tensors(radapt::Weights<M, T>& weights, const radapt::safetensors::File& file,
                         const std::string& prefix = "") {
  std::size_t found = 0;
  radapt::each_named(
      [&](const std::string& name, auto& leaf) {
        if (!file.contains(prefix + name)) { return; }
        const std::vector<T> values = file.read<T>(prefix + name);
        if (values.size() != leaf.size()) { throw std::runtime_error(prefix + name + " has another size"); }
        std::copy(values.begin(), values.end(), leaf.data);
        ++found;
      },
      "", weights.tree());
  return found;
}

/// Class or group labels, stored as I64.
inline std::vector<std::int32_t> read_labels(const radapt::safetensors::File& file, const std::string& name) {
  std::vector<std::int32_t> labels;
  for (const std::int64_t label : file.read<std::int64_t>(name)) { labels.push_back(static_cast<std::int32_t>(label)); }
  return labels;
}

/// Captions from padded rows of `context` ids, pooled at the first largest id.
inline radapt::Captions read_captions(const radapt::safetensors::File& file, const std::string& name,
                                      radapt::Index context, radapt::Index vocabulary) {
  radapt::Captions captions(context, vocabulary);
  const auto ids = file.read<std::int64_t>(name);
  for (std::size_t i = 0; i + context <= ids.size(); i += context) {
    captions.add(std::span<const std::int64_t>(ids).subspan(i, context));
  }
  return captions;
}

}  // namespace radapt_test
