#pragma once
/// The CPU backend in bfloat16: activations are stored as bf16 (8 bits of precision), products take bf16 factors, sums
/// are taken in float. Layer norm, softmax, activations and sums of streams compute in float what they round once;
/// attention rounds probabilities, too, which are factors. The trained parameters, their gradients, losses and the
/// update are float.
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16_tiles/products.hpp"

namespace radapt {

/// Precision as a type: `Session<Model, onednn_bf16>`, `Trainer<Recipe, onednn_bf16>`; include this header beside
/// all.hpp. For processors that multiply bf16 (AVX512-BF16, AMX): half the bytes, and products at twice the rate or
/// more, by kernels of our own. On others the same roundings of activations are taken, and products and attention are
/// those of `onednn`.
///
/// Weights that were promised to be constant are kept as packed bf16 copies, one for each direction in which they are
/// multiplied by; others are rounded in every call.
class onednn_bf16 : public onednn {
 public:
  static constexpr auto name = "onednn_bf16";
  using activation = bf16;                      ///< what passes over float parameters store
  static constexpr bool rounds_factors = true;  ///< of products, to bf16

  /// Whether products run in bf16 on this processor.
  static bool multiplies_bf16() {
#ifdef RADAPT_HAS_AVX512
    return detail::bf16_tiles::available();
#else
    return false;
#endif
  }
  /// Whether it is worth promising that weights stay: a matrix is packed for every product, or once.
  static bool packs_weights() { return multiplies_bf16(); }

#ifdef RADAPT_HAS_AVX512
  /// Products, where multiplies_bf16.
  detail::bf16_tiles::Products& products() { return products_; }

 private:
  detail::bf16_tiles::Products products_;
#endif
};

}  // namespace radapt
