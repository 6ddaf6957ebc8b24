#pragma once
/// Distillation of the contrastive logits of a batch: CaRot's self-distillation, when the teacher is an average
/// (methods.md 7.12).
#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"

namespace radapt::loss {

/// strength * mean over i of the cross entropies -sum_j t_ij log p_ij from images to texts and from texts to images,
/// which are added. p is the softmax of the student's row s <u_i, t_j>, t that of the teacher's, each with its own
/// scale. The first step is left out: there the teacher is the student.
///
/// The teacher is the frozen model; `FromAverage<ContrastiveDistillation>` makes it the moving average.
struct ContrastiveDistillation {
  static constexpr auto name = "contrastive_distillation";
  static constexpr Index extra_captions = 0;
  static constexpr bool reads_captions = true;
  double strength = 1.5;  ///< >= 0

  double weight(StepPosition at) const { return at.step == 0 ? 0.0 : strength; }

  template <class T>
  void add(auto& context, const PairFeatures<T>& f, StepPosition at, double* value) const {
    const double now = weight(at);
    if (now == 0.0) { return; }
    const Side<T> image{f.image, f.dimage, f.teacher_image}, text{f.text, f.dtext, f.teacher_text};
    add_direction(context, f, now, image, text, value);
    add_direction(context, f, now, text, image, value);
  }

 private:
  template <class T>
  struct Side {
    Matrix<const T> x;
    Matrix<T> dx;
    Matrix<const T> teacher;
  };

  /// Rows of `from` choose among the rows of `to`.
  template <class T>
  static void add_direction(auto& context, const PairFeatures<T>& f, double weight, Side<T> from, Side<T> to,
                            double* value) {
    run(context, op::linear_forward<T>{.y = f.teacher_logits, .x = from.teacher, .weight = to.teacher});
    scale(context, f.teacher_logits, f.teacher_scale);
    run(context, op::linear_forward<T>{.y = f.logits, .x = from.x, .weight = to.x});
    scale(context, f.logits, f.scale);
    run(context,
        op::distillation<T>{
            .student = f.logits, .teacher = f.teacher_logits, .weight = weight, .minus_entropy = false, .loss = value});
    // f.logits is now the gradient G of the logits: dfrom = s G to, dto = s G^T from, dlog s = s <G to, from>.
    run(context, op::linear_backward_input<T>{.dx = f.dfeatures, .dy = f.logits, .weight = to.x});
    if (from.dx.data != nullptr) {
      run(context, op::scaled_add<T>{.y = from.dx, .x = from.dx, .z = f.dfeatures, .factor = f.scale});
    }
    if (f.dlog_scale != nullptr) {
      run(context,
          op::scaled_add_backward_scale<T>{.dscale = f.dlog_scale, .a = f.dfeatures, .b = from.x, .factor = f.scale});
    }
    if (to.dx.data != nullptr) {
      run(context, op::linear_backward_weight<T>{.dw = to.dx, .dy = f.logits, .x = from.x, .factor = f.scale});
    }
  }
  template <class T>
  static void scale(auto& context, Matrix<T> z, double by) {
    run(context, op::scaled_add<T>{.y = z, .x = z, .z = z, .factor = by - 1.0});
  }
};

/// CaRot's: from a moving average of the trained weights.
using SelfDistillation = FromAverage<ContrastiveDistillation>;

}  // namespace radapt::loss
