#pragma once
/// CaRot's penalty on the image tower's projection (methods.md 7.12).
#include <string_view>

#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/orthogonality.hpp"

namespace radapt::loss {

/// strength * |W^T W - 1| in the Frobenius norm, not squared, as the released code has it; W = visual.proj (width,
/// embed). The columns of W move towards orthonormal ones.
struct Orthogonality {
  static constexpr auto name = "orthogonality";
  double strength = 0.2;  ///< >= 0

  constexpr bool reaches(std::string_view tensor) const { return tensor == "visual.proj"; }

  /// For W^T W - 1.
  static constexpr Index scratch_elements(Index, Index columns) { return columns * columns; }

  template <class T>
  void add(auto& context, Matrix<T> gradient, Matrix<const T> tensor, T* scratch, double* value) const {
    run(context, op::orthogonality_penalty<T>{.gradients = gradient,
                                              .parameters = tensor,
                                              .gram = {scratch, tensor.columns, tensor.columns},
                                              .strength = strength,
                                              .loss = value});
  }
};

}  // namespace radapt::loss
