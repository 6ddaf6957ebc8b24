#pragma once
/// What a trainer of any recipe takes, made of small pairs: weights to begin with, and batches.
#include <type_traits>
#include <vector>

#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/loss/terms.hpp"
#include "train/small_pairs.hpp"

namespace radapt_test {

/// Of a Clip, or of a Classifier of six classes.
template <class Model>
radapt::Weights<Model> small_weights() {
  if constexpr (requires { typename Model::clip; }) {
    const std::vector<float> head(6 * SmallArch::embed, 0.1F);
    return radapt::zero_shot_classifier(small_weights<typename Model::clip>(), head);
  } else {
    radapt::Weights<Model> weights;
    radapt::initialise_clip(weights, 1);
    return weights;
  }
}

/// A batch for `Recipe`. Further captions of a pair are its first one again; filled images are the images upside down,
/// and every fourth patch is left out of kept ones.
template <class Recipe>
class SmallBatch {
  using Loss = typename Recipe::loss;
  static constexpr bool of_images = std::is_same_v<typename Loss::needs, radapt::needs_head>;

 public:
  explicit SmallBatch(const SmallPairs& pairs) : pairs_(pairs), filled_(pairs.pixels.rbegin(), pairs.pixels.rend()) {
    for (radapt::Index i = 0; i < kept_.size(); ++i) { kept_[i] = i % 4 == 3 ? 0 : 1; }
    for (radapt::Index k = 0; k < radapt::loss::captions_per_pair<Loss>(); ++k) {
      for (const std::vector<std::int64_t>& ids : pairs.ids) { captions_.add(ids); }
    }
  }
  /// With pixels that lie elsewhere; this object and the pairs must outlive it.
  auto view(std::span<const float> pixels) const {
    using Needs = radapt::loss::term_needs<Loss>;
    if constexpr (of_images) {
      radapt::LabelledBatch<float> batch{.pixels = pixels, .labels = pairs_.groups};
      if constexpr (Needs::kept_patches) {
        batch.kept = kept_;
      } else if constexpr (Needs::filled_images) {
        batch.filled = filled_;
      }
      return batch;
    } else {
      return radapt::PairBatch<float>{.pixels = pixels, .captions = &captions_, .groups = pairs_.groups};
    }
  }
  auto view() const { return view(pairs_.pixels); }

 private:
  static constexpr radapt::Index patches = SmallArch::image / SmallArch::patch;
  const SmallPairs& pairs_;
  std::vector<float> filled_;
  std::vector<std::uint8_t> kept_ = std::vector<std::uint8_t>(SmallPairs::batch * patches * patches);
  radapt::Captions captions_ = radapt::Captions::of<SmallPairs::Model>();
};

}  // namespace radapt_test
