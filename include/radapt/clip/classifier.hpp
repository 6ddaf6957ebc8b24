#pragma once
/// A classifier: the image tower, normalised features, a linear head. What cross-entropy recipes train
/// (methods.md 2.2).
#include "radapt/clip/clip.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/normalize.hpp"

namespace radapt {

/// pixels (N, 3 S S) -> logits (N, classes). The number of classes is data: Weights<Classifier<...>> w(classes).
template <class Model>
struct Classifier : Sequential<Named<"visual", typename Model::Image>, L2Normalize,
                               Named<"head", Linear<Model::arch::embed, dynamic, role::head>>> {
  using clip = Model;
  using arch = typename Model::arch;
  using policy = typename Model::policy;
  using PixelRow = typename Model::PixelRow;
  using LogitRow = Samples<dynamic>;
  static constexpr Sequences image_sequences(Index images) { return Model::image_sequences(images); }
};

}  // namespace radapt
