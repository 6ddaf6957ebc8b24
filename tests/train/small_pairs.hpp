#pragma once
/// A CLIP with two blocks in each tower, and pairs to train it on.
#include <cstdint>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/core/random.hpp"
#include "radapt/train/batch.hpp"
#include "radapt/train/recipes.hpp"

namespace radapt_test {

using radapt::Index;

struct SmallArch : radapt::arch::Defaults {
  static constexpr Index embed = 32, image = 32, patch = 8, context = 12, vocabulary = 50;
  static constexpr radapt::TowerSize vision{64, 2, 2, 256}, text{64, 2, 2, 256};
};

/// Random images with captions of random lengths, another draw for every `which`.
struct SmallPairs {
  using Recipe = radapt::recipe::r_adapter<SmallArch>;
  using Model = Recipe::trained;
  static constexpr Index batch = 8;

  std::vector<float> pixels = std::vector<float>(batch * Model::PixelRow::width);
  std::vector<std::vector<std::int64_t>> ids;  ///< of the captions
  radapt::Captions captions = radapt::Captions::of<Model>();
  std::vector<std::int32_t> groups{0, 1, 2, 0, 3, 4, 5, 1};

  explicit SmallPairs(std::uint64_t which = 0) {
    radapt::Random random(7, which);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    for (Index i = 0; i < batch; ++i) {
      std::vector<std::int64_t>& caption = ids.emplace_back(3 + random.below(9));
      for (auto& id : caption) { id = random.below(SmallArch::vocabulary - 1); }
      caption.back() = SmallArch::vocabulary - 1;
      captions.add(caption);
    }
  }
  /// The batch of a trainer of `Recipe`; this object must outlive it.
  radapt::PairBatch<float> view() const { return {.pixels = pixels, .captions = &captions, .groups = groups}; }
};

}  // namespace radapt_test
