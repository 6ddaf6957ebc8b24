#pragma once
/// StarFT's regulariser (methods.md 4.3): how the tuned model answers to captions with a spurious phrase stays as the
/// frozen model answers.
#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"

namespace radapt::loss {

/// weight * mean over i of KL(softmax_j Z0_ij || softmax_j Z_ij), Z_ij = s <u_i, r_j> of the tuned model, Z0 the same
/// of the frozen one, both with the frozen model's scale s. u are images, r the class caption of a pair with a spurious
/// phrase. Entries of one class are left out. PhrasePool and add_spurious of `clip/phrase_pool.hpp` make the captions.
///
/// In epoch e of E, counted from 0, the weight is strength (1 - (e + 1) / E): the last epoch runs without the term. The
/// released code does so; whether the paper does is not known.
struct SpuriousAlignment {
  static constexpr auto name = "spurious_alignment";
  static constexpr Index extra_captions = 1;

  double strength = 0.5;         ///< lambda, >= 0
  bool masks_same_class = true;  ///< false: every entry counts, the released code's type "kl"
  bool diminishing = true;       ///< false: the weight is `strength` throughout
  std::uint64_t epochs = 10;     ///< E; a run is cut into so many equal parts

  /// Weight of the term in a step.
  double weight(StepPosition at) const {
    if (!diminishing || epochs == 0 || at.total == 0) { return strength; }
    const std::uint64_t epoch = at.step < at.total ? at.step * epochs / at.total : epochs - 1;
    return strength * (1.0 - static_cast<double>(epoch + 1) / static_cast<double>(epochs));
  }

  template <class T>
  void add(auto& context, const PairFeatures<T>& f, StepPosition at, double* value) const {
    const double now = weight(at);
    if (now == 0.0) { return; }
    if (masks_same_class && f.groups == nullptr) {
      fail({.what = "loss spurious_alignment",
            .expected = "class ids of the pairs, which say what to leave out",
            .got = "a batch without groups",
            .hint = "Give PairBatch::groups, or set masks_same_class to false"});
    }
    similarities(context, f.teacher_logits, f.teacher_image, f.teacher_extra_text, f.teacher_scale);
    similarities(context, f.logits, f.image, f.extra_text, f.teacher_scale);
    run(context, op::distillation<T>{.student = f.logits,
                                     .teacher = f.teacher_logits,
                                     .labels = masks_same_class ? f.groups : nullptr,
                                     .weight = now,
                                     .loss = value});
    if (f.dimage.data != nullptr) {
      run(context, op::linear_backward_input<T>{.dx = f.dfeatures, .dy = f.logits, .weight = f.extra_text});
      run(context, op::scaled_add<T>{.y = f.dimage, .x = f.dimage, .z = f.dfeatures, .factor = f.teacher_scale});
    }
    if (f.dextra_text.data != nullptr) {
      run(context,
          op::linear_backward_weight<T>{.dw = f.dextra_text, .dy = f.logits, .x = f.image, .factor = f.teacher_scale});
    }
  }

 private:
  /// z = scale u r^T.
  template <class T>
  static void similarities(auto& context, Matrix<T> z, Matrix<const T> u, Matrix<const T> r, double scale) {
    run(context, op::linear_forward<T>{.y = z, .x = u, .weight = r});
    run(context, op::scaled_add<T>{.y = z, .x = z, .z = z, .factor = scale - 1.0});
  }
};

}  // namespace radapt::loss
