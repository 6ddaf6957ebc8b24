#pragma once
/// Mask-fill's term (methods.md 7.11): on images whose parts were filled in, the features stay those of the frozen
/// model.
#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/elementwise.hpp"
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
  double add(auto& context, const FilledFeatures<T>& f, StepPosition) const {
    const Matrix<T> d = f.workspace;
    run(context, op::scaled_add<T>{.y = d, .x = f.features, .z = f.teacher_features, .factor = -1.0});
    double squares = 0.0;
    run(context, op::sum_of_squares<T>{.x = Vector<const T>{d.data, d.size()}, .result = &squares});
    const double factor = strength * f.share / static_cast<double>(d.size());
    run(context, op::scaled_add<T>{.y = f.dfeatures, .x = f.dfeatures, .z = d, .factor = 2.0 * factor});
    return factor * squares;
  }
};

}  // namespace radapt::loss
