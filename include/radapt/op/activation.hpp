#pragma once
/// The activations of CLIP's MLPs and of the adapters that have one.
#include "radapt/core/view.hpp"

namespace radapt {

/// Which GELU a checkpoint was trained with; taking another one costs accuracy without any error (clip_compat.md 1.2).
enum class Activation {
  quick_gelu,  ///< x sigmoid(1.702 x): OpenAI, most of MetaCLIP and DFN; see arch::quickgelu
  gelu,        ///< exact, with erf: most of LAION, DataComp
  gelu_tanh,   ///< the tanh form
  relu,        ///< max(0, x), slope 0 at 0: of adapters; no CLIP has it
};

namespace op {

/// y = act(x). x and y may be the same memory.
template <class T>
struct activation_forward {
  static constexpr auto name = "activation_forward";
  using element = T;
  Matrix<T> y;        // (rows, width)
  Matrix<const T> x;  // (rows, width)
  Activation kind = Activation::quick_gelu;
};

/// dx = dy act'(x). dx and dy may be the same memory.
template <class T>
struct activation_backward {
  static constexpr auto name = "activation_backward";
  using element = T;
  Matrix<T> dx;        // (rows, width)
  Matrix<const T> dy;  // (rows, width)
  Matrix<const T> x;   // (rows, width)
  Activation kind = Activation::quick_gelu;
};

}  // namespace op
}  // namespace radapt
