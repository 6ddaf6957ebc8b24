#pragma once
/// What the benchmarks of whole models run on: weights, pixels and captions, drawn from fixed seeds.
#include <array>
#include <cstdint>
#include <memory>
#include <typeinfo>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/core/random.hpp"

namespace radapt_bench {

using radapt::Index;

/// The one set of weights that is alive.
struct DrawnWeights {
  std::shared_ptr<const void> weights;
  const std::type_info* model = nullptr;
};
inline DrawnWeights drawn_weights;

/// Weights of a Clip, drawn when they are asked for after those of another model, which are given up: a ViT-B has 600
/// MB.
template <class Model>
const radapt::Weights<Model>& random_weights() {
  if (drawn_weights.model == nullptr || *drawn_weights.model != typeid(Model)) {
    drawn_weights = {};
    auto weights = std::make_shared<radapt::Weights<Model>>();
    radapt::initialise_clip(*weights, /*seed=*/1);
    drawn_weights = {weights, &typeid(Model)};
  }
  return *static_cast<const radapt::Weights<Model>*>(drawn_weights.weights.get());
}

/// Pixels as preprocessing gives them: mean 0, deviation 1. (images, 3 size size)
template <class Model>
std::vector<float> random_pixels(Index images) {
  std::vector<float> pixels(images * Model::PixelRow::width);
  radapt::Random random(2);
  for (float& x : pixels) { x = static_cast<float>(random.normal()); }
  return pixels;
}

/// A whole context, as libraries that pad run every caption.
inline constexpr std::array<Index, 1> whole_context{77};
/// The lengths of people's captions in CLIP's tokens, markers included: the medians of the ten tenths of Flickr8k's
/// 9,930.
inline constexpr std::array<Index, 10> caption_lengths{9, 10, 11, 12, 13, 14, 15, 16, 18, 21};
/// "a photo of a {}." with a name of one, two or three tokens.
inline constexpr std::array<Index, 3> prompt_lengths{8, 9, 10};

/// `count` captions of random words, whose lengths go round `lengths`.
template <class Model, class Lengths>
radapt::Captions random_captions(Index count, const Lengths& lengths) {
  constexpr std::uint32_t end_of_text = 49407;
  static_assert(Model::arch::vocabulary == end_of_text + 1);
  radapt::Random random(3);
  auto captions = radapt::Captions::of<Model>();
  for (Index i = 0; i < count; ++i) {
    std::vector<std::int64_t> ids(lengths[i % lengths.size()]);
    for (auto& id : ids) { id = random.below(end_of_text); }
    ids.back() = end_of_text;
    captions.add(ids);
  }
  return captions;
}

}  // namespace radapt_bench
