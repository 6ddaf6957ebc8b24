#pragma once
/// CaRot's optional penalty on both projections together (methods.md 7.12).
#include <string_view>

#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/frobenius.hpp"
#include "radapt/op/linear.hpp"

namespace radapt::loss {

/// strength * |V W^T| in the Frobenius norm, not squared, with V = visual.proj (image width, embed) and W =
/// text_projection (text width, embed): "cross_fnorm" of the released code. What the two towers project to moves
/// apart. The gradients are strength / |V W^T| times V W^T W and W V^T V; nothing where the product is zero.
struct CrossFNorm {
  static constexpr auto name = "cross_fnorm";
  static constexpr std::string_view first = "visual.proj", second = "text_projection";
  double strength = 0.05;  ///< >= 0; the value of the released code's example

  constexpr bool reaches(std::string_view tensor) const { return tensor == first || tensor == second; }

  /// For V W^T, and for a gradient of V.
  static constexpr Index scratch_elements(Index first_rows, Index second_rows, Index columns) {
    return first_rows * (second_rows + columns);
  }

  template <class T>
  void add(auto& context, const PairedTensor<T>& v, const PairedTensor<T>& w, T* scratch, double* value) const {
    const Matrix<T> product{scratch, v.value.rows, w.value.rows};
    run(context, op::linear_forward<T>{.y = product, .x = v.value, .weight = w.value});
    run(context, op::frobenius_penalty<T>{.x = product, .strength = strength, .loss = value});
    if (v.gradient.data != nullptr) {
      const Matrix<T> dv{scratch + product.size(), v.value.rows, v.value.columns};
      run(context, op::linear_backward_input<T>{.dx = dv, .dy = product, .weight = w.value});
      run(context, op::scaled_add<T>{.y = v.gradient, .x = v.gradient, .z = dv});
    }
    if (w.gradient.data != nullptr) {
      run(context, op::linear_backward_weight<T>{.dw = w.gradient, .dy = product, .x = v.value});
    }
  }
};

}  // namespace radapt::loss
