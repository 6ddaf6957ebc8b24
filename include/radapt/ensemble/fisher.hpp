#pragma once
/// Interpolation that weighs every element by its Fisher information (methods.md 2.1), and the diagonal estimate of it.
#include <cmath>
#include <string>
#include <utility>

#include "radapt/core/weights.hpp"
#include "radapt/ensemble/checks.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// The diagonal of a Fisher information: one number >= 0, in double, for every element of the tensors that Tune names.
/// A tensor that it does not name has none, in both models alike, since Tune is a type; such a tensor is interpolated
/// plainly. Move only.
template <class M, class Tune = tune::everything>
class Fisher {
 public:
  using model = M;
  using tune = Tune;
  using Tree = Gradients<M, Tune, double>;

  /// All zeros. `classes` is the value of a dynamic extent, for models that have one.
  explicit Fisher(Index classes = 1) : classes_(classes) {
    buffer_ = Buffer<double>(bind<double>(tree_, nullptr, classes));
    bind(tree_, buffer_.data(), classes);
  }

  Tree& tree() { return tree_; }
  const Tree& tree() const { return tree_; }
  Buffer<double>& buffer() { return buffer_; }
  const Buffer<double>& buffer() const { return buffer_; }
  Index classes() const { return classes_; }

 private:
  Index classes_ = 1;
  Buffer<double> buffer_;
  Tree tree_{};
};

/// The reason type of Fisher informations that do not cover the same tensors of the same model.
template <class A, class B>
struct check_same_fisher {
  static constexpr bool both_cover_the_same_tensors = std::is_same_v<A, B>;
  static_assert(
      both_cover_the_same_tensors,
      "radapt: the Fisher informations of two models must cover the same tensors. Read check_same_fisher<first, "
      "second>; to fix: estimate both under one tuning policy.");
};

namespace detail {
/// The larger of F and the floor. A negative element cannot come from squares, and a NaN would spread unseen.
inline double floored(double fisher, double floor, const std::string& name) {
  if (!(fisher >= 0.0) || std::isinf(fisher)) {
    fail({.what = "fisher_interpolate: the Fisher information of '" + name + "'",
          .expected = "finite numbers of at least 0",
          .got = std::to_string(fisher),
          .hint = ""});
  }
  return fisher > floor ? fisher : floor;
}
}  // namespace detail

/// (c0 zero_shot + c1 tuned) / (c0 + c1) by elements, with c0 = (1 - alpha) max(F0, floor), c1 = alpha max(F1, floor).
///
/// alpha from 0 to 1 weights the fine-tuned side; 0 and 1 return the ends bit for bit. Equal Fisher informations give
/// the plain interpolation. `floor` > 0; the released value is 1e-8. Errors: sizes that differ, an element of a Fisher
/// information that is negative or not finite.
template <class M, class T, class Tune, class Other>
Weights<M, T> fisher_interpolate(double alpha, const Weights<M, T>& zero_shot, const Weights<M, T>& tuned,
                                 const Fisher<M, Tune>& fisher_zero_shot, const Fisher<M, Other>& fisher_tuned,
                                 double floor = 1e-8) {
  const std::string what = "fisher_interpolate";
  [[maybe_unused]] const check_same_fisher<Fisher<M, Tune>, Fisher<M, Other>> checked{};
  detail::check_mixing(what, alpha);
  detail::check_same_classes(what, zero_shot, tuned);
  detail::check_same_classes(what, zero_shot, fisher_zero_shot);
  detail::check_same_classes(what, zero_shot, fisher_tuned);
  if (!(floor > 0.0) || std::isinf(floor)) {
    fail({.what = what + ": floor", .expected = "a number above 0", .got = std::to_string(floor), .hint = ""});
  }
  if (alpha == 0.0) { return zero_shot; }
  if (alpha == 1.0) { return tuned; }
  Weights<M, T> mixed = zero_shot;
  if constexpr (std::is_same_v<Tune, Other>) {
    each_named(
        [&]<class F>(const std::string& name, auto& out, const auto& a, const auto& b, const F& f0, const F& f1) {
          for (Index i = 0; i < out.size(); ++i) {
            double c0 = 1.0 - alpha, c1 = alpha;
            if constexpr (wanted<F>) {
              c0 *= detail::floored(f0.data[i], floor, name);
              c1 *= detail::floored(f1.data[i], floor, name);
            }
            out.data[i] =
                static_cast<T>((c0 * static_cast<double>(a.data[i]) + c1 * static_cast<double>(b.data[i])) / (c0 + c1));
          }
        },
        "", mixed.tree(), zero_shot.tree(), tuned.tree(), fisher_zero_shot.tree(), fisher_tuned.tree());
  }
  return mixed;
}

/// The diagonal of the empirical Fisher information: the mean over samples of the squared gradient of the
/// log-likelihood of one sample.
///
/// `gradient_of(i, gradient)` writes the gradient of sample i's loss into `gradient`, weights of the same model that
/// are zero before. It must be of one sample: the square of a batch's mean is something else. HeldOutLoss with a batch
/// of one is such a loss. With labels of the data this is the empirical Fisher information; with labels drawn from the
/// model's own prediction it estimates the true one. Costs one forward and one backward pass per sample.
template <class Tune = tune::everything, class M, class T, class F>
Fisher<M, Tune> diagonal_fisher(const Weights<M, T>& at, Index samples, F&& gradient_of, ProgressOptions shown = {}) {
  if (samples == 0) { fail({.what = "diagonal_fisher", .expected = "at least 1 sample", .got = "none", .hint = ""}); }
  Fisher<M, Tune> fisher(at.classes());
  Weights<M, T> gradient(at.classes());
  Progress progress("fisher", samples, std::move(shown));
  for (Index i = 0; i < samples; ++i) {
    for (T& g : gradient.buffer()) { g = T{0}; }
    gradient_of(i, gradient);
    each(
        [&]<class Leaf>(const auto& g, Leaf& sum) {
          if constexpr (wanted<Leaf>) {
            for (Index j = 0; j < g.size(); ++j) {
              const double x = static_cast<double>(g.data[j]);
              sum.data[j] += x * x;
            }
          }
        },
        gradient.tree(), fisher.tree());
    progress.advance();
  }
  for (double& x : fisher.buffer()) { x /= static_cast<double>(samples); }
  return fisher;
}

}  // namespace radapt
