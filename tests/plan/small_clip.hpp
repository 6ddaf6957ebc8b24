#pragma once
/// A small CLIP of three blocks in each tower, and the policies that the plans of its towers are asked about.
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/clip.hpp"

namespace radapt_test {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 10;
  static constexpr radapt::TowerSize vision{16, 2, 3, 32}, text{12, 2, 3, 24};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};

using Plain = radapt::Clip<Small>;
using Adapted = radapt::Clip<Small, radapt::RAdapter<>>;
/// The last block of each tower can be named alone.
using Unlocked = radapt::Clip<Small, radapt::NoAdapter, radapt::unlock_last<1, 1>>;

using OnlyAdapter = radapt::tune::only<radapt::role::adapter>;
using OnlyNorm = radapt::tune::only<radapt::role::norm>;
using OnlyImage = radapt::tune::only<radapt::role::tower::image>;
using OnlyUnlocked = radapt::tune::only<radapt::role::unlocked>;
using OnlyProjection = radapt::tune::only<radapt::role::projection>;
using ButEmbedding = radapt::tune::except<radapt::role::embedding>;

/// The plans of a model's towers in a training step: nothing below a tower wants a gradient.
template <class Model, class Tune>
using ImagePlan = radapt::Plan<typename Model::Image, typename Model::PixelRow, float, Tune, false>;
template <class Model, class Tune>
using TextPlan = radapt::Plan<typename Model::Text, radapt::TokenRow, float, Tune, false>;

/// Four images of five tokens, and four captions of three tokens on average.
inline constexpr radapt::Extent images = Plain::image_sequences(4).extent();
inline constexpr radapt::Extent captions{12, 4};

/// Bytes that a training step keeps of both towers.
template <class Model, class Tune>
constexpr radapt::Index kept() {
  return ImagePlan<Model, Tune>::kept(images) + TextPlan<Model, Tune>::kept(captions);
}

}  // namespace radapt_test
