#pragma once
/// Folding adapters into the frozen linear layers in front of them: the type that is left has none (methods.md 1.7).
#include <cmath>
#include <string>
#include <vector>

#include "radapt/adapter/foldable_layers.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/headed_clip.hpp"
#include "radapt/core/copy.hpp"

namespace radapt {

/// What may stand at a site of a model that is merged. Behind a sub-layer: nothing, or a layer whose
/// `L::fold(alpha, parameters, weight, bias)` makes W' = (I + alpha A) W and b' = (I + alpha A) b, where A y is what it
/// adds to y.
template <class L, class T = float>
concept mergeable = std::is_same_v<L, Identity> ||(foldable<L, T>&& host_of_layer<L> == Host::in_front);

/// In the place of the linear layer Plain: that layer itself, or one that holds its weight and bias and adds to them.
template <class L, class Plain, class T = float>
concept mergeable_for = std::is_same_v<L, Plain> ||(foldable<L, T>&& host_of_layer<L> == Host::itself);

template <class Adapter>
struct not_linear {
  static constexpr bool ok = false;
};
/// The reason type of a merge that is not possible.
template <class Why>
struct check_merge {
  static constexpr bool every_adapter_is_linear = Why::ok;
  static_assert(
      every_adapter_is_linear,
      "radapt: only a linear adapter behind a linear layer can be merged or rescaled. Read "
      "check_merge<not_linear<adapter>>; to fix: keep this adapter in the model, or give its layer a fold(), and "
      "folds_into = Host::itself where it takes the place of a linear layer.");
};

namespace detail {

/// Model M as it is when its adapters are folded in.
template <class M>
struct without_adapters;
template <class Arch, class Policy, class Unlock>
struct without_adapters<Clip<Arch, Policy, Unlock>> {
  using type = Clip<Arch>;
};
template <class M>
struct without_adapters<Classifier<M>> {
  using type = Classifier<typename without_adapters<M>::type>;
};
template <class M>
struct without_adapters<HeadedClip<M>> {
  using type = HeadedClip<typename without_adapters<M>::type>;
};

/// Why a block of one tower cannot be merged. Layers in the place of a linear layer, and branches beside a sub-layer,
/// count as well: left out of a merge, they would be lost without a word.
template <class Policy, class Tower, Index Width, Index Hidden>
struct block_merge_reason {
  using Kind = BlockKind<Policy, Tower, false>;
  template <class L, bool Folds>
  using reason = std::conditional_t<Folds, fits, not_linear<L>>;
  template <class L>
  using behind = reason<L, mergeable<L>>;
  template <class L>
  using beside = reason<L, std::is_same_v<L, Identity>>;
  template <class L, class Plain>
  using in_place = reason<L, mergeable_for<L, Plain>>;
  template <class Place, Index In, Index Out>
  using linear = in_place<typename Kind::template linear<Place, In, Out>,
                          typename BlockKind<NoAdapter, Tower, false>::template linear<Place, In, Out>>;
  using type = typename first_reason<behind<typename Kind::template adapter<site::after_attention, Width>>,
                                     behind<typename Kind::template adapter<site::after_mlp, Width>>,
                                     beside<typename Kind::template beside<site::beside_mlp, Width>>,
                                     linear<site::in_proj, Width, 3 * Width>, linear<site::out_proj, Width, Width>,
                                     linear<site::c_fc, Width, Hidden>, linear<site::c_proj, Hidden, Width>>::type;
};

template <class Policy, class Arch>
struct merge_reason
    : first_reason<
          typename block_merge_reason<Policy, role::tower::image, Arch::vision.width, Arch::vision.hidden>::type,
          typename block_merge_reason<Policy, role::tower::text, Arch::text.width, Arch::text.hidden>::type> {};

/// Calls f(layer, weight, bias) for foldable layers and the tensors of their hosts in `plain`.
template <class T, class M, class F>
void each_host(const std::vector<FoldableLayer<T>>& layers, Weights<M, T>& plain, F&& f) {
  const std::vector<Tensor<T>> tensors = plain.tensors();
  const TensorNames names(tensors);
  for (const FoldableLayer<T>& layer : layers) {
    f(layer, tensors[names.at(layer.weight_name())].matrix(), tensors[names.at(layer.bias_name())].matrix());
  }
}

/// Folds every adapter of `adapted` into `plain`; `before(matrix)` sees each tensor before it is written. Error: alpha
/// is no finite number.
template <class M, class T, class Before>
void fold_adapters(double alpha, const Weights<M, T>& adapted, Weights<typename without_adapters<M>::type, T>& plain,
                   Before&& before) {
  if (!std::isfinite(alpha)) {
    fail({.what = "merge: alpha",
          .expected = "a finite number",
          .got = std::to_string(alpha),
          .hint = "0 is the model without its adapters, 1 has them in full"});
  }
  const auto layers = foldable_layers<M, T>(adapted.tree());
  each_host(layers, plain, [&](const FoldableLayer<T>& layer, Matrix<T> weight, Matrix<T> bias) {
    before(weight);
    before(bias);
    layer.fold(alpha, weight, Vector<T>(bias.data, bias.size()));
  });
  if (layers.empty() && !std::is_same_v<typename M::policy, NoAdapter>) {
    fail({.what = "merge",
          .expected = "at least one adapter to fold",
          .got = "none",
          .hint = "The policy puts no layer after an attention or an MLP of this architecture"});
  }
}
}  // namespace detail

/// The plain Clip, Classifier or HeadedClip that computes what `adapted` computes with its adapters scaled by alpha.
/// alpha 0 gives the original model bit for bit, 1 the full adapter; there is no default, since the best value depends
/// on the task (methods.md 1.10). A head built from the text tower must be built again from the merged one. Error:
/// alpha is no finite number.
template <class M, class T>
Weights<typename detail::without_adapters<M>::type, T> merge(double alpha, const Weights<M, T>& adapted) {
  using Why = typename detail::merge_reason<typename M::policy, typename M::arch>::type;
  [[maybe_unused]] const check_merge<Why> checked{};
  Weights<typename detail::without_adapters<M>::type, T> plain(adapted.classes());
  copy_by_name(plain, adapted);
  if constexpr (Why::ok) {
    detail::fold_adapters(alpha, adapted, plain, [](const Matrix<T>&) {});
  }
  return plain;
}

/// Merges into a plain model in place and can take it back. The original tensors are kept and copied back, bit for bit:
/// the inverse of I + alpha A is never formed, it may be ill-conditioned.
template <class M, class T = float>
class MergedInPlace {
 public:
  using Plain = Weights<typename detail::without_adapters<M>::type, T>;

  /// `plain` must outlive this object; it is restored by unmerge(), not by the destructor.
  MergedInPlace(double alpha, const Weights<M, T>& adapted, Plain& plain) {
    [[maybe_unused]] const check_merge<typename detail::merge_reason<typename M::policy, typename M::arch>::type>
        checked{};
    detail::fold_adapters(alpha, adapted, plain, [this](const Matrix<T>& tensor) {
      originals_.push_back({tensor, {tensor.data, tensor.data + tensor.size()}});
    });
  }
  /// Gives `plain` its original tensors back. Harmless when called twice.
  void unmerge() {
    for (auto last = originals_.rbegin(); last != originals_.rend(); ++last) {  // a host may have been written twice
      std::copy(last->values.begin(), last->values.end(), last->place.data);
    }
    originals_.clear();
  }

 private:
  struct Original {
    Matrix<T> place;
    std::vector<T> values;
  };
  std::vector<Original> originals_;
};

}  // namespace radapt
