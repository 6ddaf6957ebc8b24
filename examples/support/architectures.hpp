#pragma once
/// Architectures beside those of radapt::arch, and finding the one of a checkpoint in a list. One of your own goes
/// here, and its name into RADAPT_RUN_ARCHITECTURES or RADAPT_TRAINED_ARCHITECTURES (docs/building.md).
#include <cstddef>
#include <filesystem>
#include <string>

#include "radapt/core/label.hpp"
#include "radapt/io/clip_config.hpp"

#include "small_clip.hpp"

namespace example {

/// An architecture and the name under which messages list it.
template <radapt::fixed_string Name, class Arch>
struct Known {
  using arch = Arch;
  static constexpr auto name = Name;
};
template <class... Each>
struct ArchitectureList {};

/// The models of the golden values, so that the programs can be held against them.
struct TinyQuickGelu : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 48, image = 32, patch = 8, vocabulary = 320;
  static constexpr radapt::TowerSize vision{96, 3, 3, 384}, text{64, 2, 2, 256};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};
struct TinyGelu : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 32, image = 30, patch = 10, vocabulary = 260;
  static constexpr radapt::TowerSize vision{64, 4, 2, 192}, text{48, 3, 3, 192};
};
struct TinyVocabulary : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 24, image = 32, patch = 16;
  static constexpr radapt::TowerSize vision{32, 2, 1, 128}, text{16, 2, 1, 64};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};

/// Calls f.operator()<Arch>() for the architecture that the configuration in `folder` states. Errors: no configuration
/// (tensors alone do not tell the activation); none of the list, with what differs from the closest one, and the hint.
template <class... Each, class F>
void with_architecture(ArchitectureList<Each...>, const std::filesystem::path& folder, F&& f, const std::string& hint) {
  if (!std::filesystem::is_directory(folder)) {
    radapt::fail({.what = "the model in '" + folder.string() + "'",
                  .expected = "a checkpoint folder: weights with a config.json or open_clip_config.json beside them",
                  .got = std::filesystem::exists(folder) ? "a file" : "nothing of that name",
                  .hint = "Name the folder, not the file with the weights"});
  }
  const radapt::ClipConfig config = radapt::read_clip_config(folder);
  std::string list, closest;
  std::size_t fewest = 0;
  const auto fits = [&]<class K>(const K&) {
    const std::string name(K::name.view());
    const auto differing = radapt::differences(config, radapt::clip_config_of<typename K::arch>());
    list += (list.empty() ? "" : ", ") + name;
    if (differing.empty()) {
      f.template operator()<typename K::arch>();
      return true;
    }
    if (closest.empty() || differing.size() < fewest) {
      fewest = differing.size();
      closest = "not even " + name + ", since ";
      for (std::size_t i = 0; i < differing.size(); ++i) { closest += (i == 0 ? "" : "; ") + differing[i]; }
    }
    return false;
  };
  if ((fits(Each{}) || ...)) { return; }
  radapt::fail(
      {.what = "the model in '" + folder.string() + "'", .expected = "one of " + list, .got = closest, .hint = hint});
}

}  // namespace example
