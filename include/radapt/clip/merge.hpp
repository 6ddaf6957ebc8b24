#pragma once
/// Folding adapters into the frozen linear layers in front of them: the type that is left has none (methods.md 1.7).
#include <string>
#include <vector>

#include "radapt/clip/classifier.hpp"
#include "radapt/clip/headed_clip.hpp"
#include "radapt/core/copy.hpp"

namespace radapt {

/// An adapter layer that is linear in its input folds: `L::fold(alpha, parameters, weight, bias)` makes
/// W' = (I + alpha A) W and b' = (I + alpha A) b, where A y is what the adapter adds to y.
template <class L, class T = float>
concept mergeable = std::is_same_v<L, Identity> || requires(const Values<L, T>& p, Matrix<T> w, Vector<T> b) {
  L::fold(1.0, p, w, b);
};

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
      "check_merge<not_linear<adapter>>; to fix: keep this adapter in the model, or give its layer a fold().");
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

template <class Policy, class Arch>
struct merge_reason {
  template <class Place, class Tower, Index D>
  using adapter = typename adapter_at<Policy, site::Site<Place, Tower>, D>::type;
  template <class Adapter, class Rest>
  using first_bad = std::conditional_t<mergeable<Adapter>, Rest, not_linear<Adapter>>;
  using type =
      first_bad<adapter<site::after_attention, role::tower::image, Arch::vision.width>,
                first_bad<adapter<site::after_mlp, role::tower::image, Arch::vision.width>,
                          first_bad<adapter<site::after_attention, role::tower::text, Arch::text.width>,
                                    first_bad<adapter<site::after_mlp, role::tower::text, Arch::text.width>, fits>>>>;
};

/// The linear layer in front of the adapter at `path`: `<block>.attn.adapter` folds into `<block>.attn.out_proj`.
inline std::string host_of(const std::string& path) {
  const std::string sublayer = path.substr(0, path.rfind(".adapter"));
  return sublayer + (sublayer.ends_with(".attn") ? ".out_proj" : ".c_proj");
}

template <class T, class Tree>
auto leaves_by_name(Tree& tree) {
  std::map<std::string, Matrix<T>> leaves;
  each_named([&](const std::string& name, auto& leaf) { leaves.emplace(name, Matrix<T>(leaf)); }, "", tree);
  return leaves;
}

/// Folds every adapter of `adapted` into `plain`; `before(weight, bias)` sees each host before it is written.
template <class M, class T, class Before>
void fold_adapters(double alpha, const Weights<M, T>& adapted, Weights<typename without_adapters<M>::type, T>& plain,
                   Before&& before) {
  auto hosts = leaves_by_name<T>(plain.tree());
  Index folded = 0;
  const auto fold = [&]<class L>(const std::string& path, const auto& p) {
    if constexpr (requires(Matrix<T> w, Vector<T> b) { L::fold(alpha, p, w, b); }) {
      const Matrix<T> weight = hosts.at(host_of(path) + ".weight");
      const Matrix<T> bias = hosts.at(host_of(path) + ".bias");
      before(weight, bias);
      ++folded;
      L::fold(alpha, p, weight, Vector<T>(bias.data, bias.size()));
    }
  };
  M::each_layer(fold, "", adapted.tree());
  if (folded == 0 && !std::is_same_v<typename M::policy, NoAdapter>) {
    fail({.what = "merge",
          .expected = "at least one adapter to fold",
          .got = "none",
          .hint = "The policy puts no layer after an attention or an MLP of this architecture"});
  }
}
}  // namespace detail

/// The plain Clip, Classifier or HeadedClip that computes what `adapted` computes with its adapters scaled by alpha.
/// alpha 0 gives the original model bit for bit, 1 the full adapter; there is no default, since the best value depends
/// on the task (methods.md 1.10). A head built from the text tower must be built again from the merged one.
template <class M, class T>
Weights<typename detail::without_adapters<M>::type, T> merge(double alpha, const Weights<M, T>& adapted) {
  using Why = typename detail::merge_reason<typename M::policy, typename M::arch>::type;
  [[maybe_unused]] const check_merge<Why> checked{};
  Weights<typename detail::without_adapters<M>::type, T> plain(adapted.classes());
  copy_by_name(plain, adapted);
  if constexpr (Why::ok) {
    detail::fold_adapters(alpha, adapted, plain, [](const auto&, const auto&) {});
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
    detail::fold_adapters(alpha, adapted, plain, [this](const Matrix<T>& weight, const Matrix<T>& bias) {
      originals_.push_back({weight, {weight.data, weight.data + weight.size()}});
      originals_.push_back({bias, {bias.data, bias.data + bias.size()}});
    });
  }
  /// Gives `plain` its original tensors back. Harmless when called twice.
  void unmerge() {
    for (const auto& [place, values] : originals_) { std::copy(values.begin(), values.end(), place.data); }
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
