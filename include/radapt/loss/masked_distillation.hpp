#pragma once
/// Mask-fill's term (methods.md 7.11): on images whose parts were filled in, the features stay those of the frozen
/// model.
#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/update.hpp"

namespace radapt::loss {

/// strength * mean over all elements of (phi(x) - phi_0(x))^2, phi the projected image features, not normalised, phi_0
/// those of the frozen weights, x the images of LabelledBatch::filled. The cross entropy stays on the images as they
/// are.
struct MaskedDistillation {
  static constexpr auto name = "masked_distillation";
  static constexpr bool reads_filled_images = true;
  double strength = 30.0;  ///< w, >= 0

  double weight(StepPosition) const { return strength; }

  template <class T>
  void add(auto& context, const FilledFeatures<T>& f, StepPosition, double* value) const {
    const Index n = f.features.size();
    run(context, op::distance_penalty<T>{.gradients = {f.dfeatures.data, n},
                                         .parameters = {f.features.data, n},
                                         .anchor = {f.teacher_features.data, n},
                                         .strength = strength * f.share / static_cast<double>(n),
                                         .loss = value});
  }
};

}  // namespace radapt::loss
