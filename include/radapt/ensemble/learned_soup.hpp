#pragma once
/// The learned soup (Wortsman et al., ICML 2022, appendix I; methods.md 7.10): a mixture of models with a share for
/// every tensor and a scale of the logits, both learned on held-out data.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "radapt/ensemble/adam.hpp"
#include "radapt/ensemble/soup.hpp"
#include "radapt/ensemble/tensor_places.hpp"

namespace radapt {

/// The mixture and its parameters. Tensor j of the mixture is sum_m a_jm theta_jm with a_j = softmax(raw_j) over the
/// models; tensors of role::head are multiplied with the logit scale as well, which multiplies the logits.
template <class W>
class SoupMixture {
 public:
  using T = typename W::element;

  /// Equal shares, logit scale 1. The models must outlive this object.
  explicit SoupMixture(std::vector<const W*> models)
      : models_(detail::checked_models("learned_soup", models)), places_(detail::tensor_places(*models_.front())) {
    parameters_.assign(places_.size() * models_.size() + 1, 1.0 / static_cast<double>(models_.size()));
    parameters_.back() = 1.0;
  }

  /// What is learned: raw_jm of tensor j and model m at j * models + m, and the logit scale last.
  std::vector<double>& parameters() { return parameters_; }
  double logit_scale() const { return parameters_.back(); }
  Index models() const { return models_.size(); }
  Index tensors() const { return places_.size(); }
  const std::string& tensor(Index j) const { return places_[j].name; }

  /// The shares of tensor j, one per model, which add up to 1.
  std::vector<double> shares(Index j) const {
    const double* raw = parameters_.data() + j * models();
    std::vector<double> a(raw, raw + models());
    double largest = a[0], sum = 0;
    for (const double x : a) { largest = x > largest ? x : largest; }
    for (double& x : a) { sum += x = std::exp(x - largest); }
    for (double& x : a) { x /= sum; }
    return a;
  }

  /// The mixture as weights.
  W mix() const {
    W mixed(models_.front()->classes());
    for (Index j = 0; j < places_.size(); ++j) {
      const auto& place = places_[j];
      std::vector<double> a = shares(j);
      for (double& x : a) { x *= place.is_head ? logit_scale() : 1.0; }
      for (Index i = place.offset; i < place.offset + place.size; ++i) {
        double sum = 0;
        for (Index m = 0; m < models(); ++m) { sum += a[m] * static_cast<double>(models_[m]->buffer()[i]); }
        mixed.buffer()[i] = static_cast<T>(sum);
      }
    }
    return mixed;
  }

  /// The gradient of a loss with respect to the parameters, from that with respect to the mixture's weights.
  std::vector<double> gradient(const W& dmixed) const {
    std::vector<double> d(parameters_.size(), 0.0);
    std::vector<double> along(models());  // <dL/dmixture_j, theta_jm>
    for (Index j = 0; j < places_.size(); ++j) {
      const auto& place = places_[j];
      const std::vector<double> a = shares(j);
      double mean = 0;
      for (Index m = 0; m < models(); ++m) {
        along[m] =
            detail::dot(dmixed.buffer().data() + place.offset, models_[m]->buffer().data() + place.offset, place.size);
        mean += a[m] * along[m];
      }
      const double scale = place.is_head ? logit_scale() : 1.0;
      for (Index m = 0; m < models(); ++m) { d[j * models() + m] = scale * a[m] * (along[m] - mean); }
      if (place.is_head) { d.back() += mean; }
    }
    return d;
  }

 private:
  std::vector<const W*> models_;
  std::vector<detail::TensorPlace> places_;
  std::vector<double> parameters_;
};

/// Options of learned_soup; the defaults are those of the released code.
struct LearnedSoupOptions {
  Index iterations = 0;  ///< must be set; the released code does 5 epochs in batches of 256
  AdamOptions optimizer{.lr = 0.05};
  bool learns_logit_scale = true;
  ProgressOptions progress{};
};

/// What learned_soup returns.
template <class W>
struct LearnedSoup {
  W weights;                                  ///< the mixture, logit scale included
  double logit_scale = 1;                     ///< what tensors of role::head were multiplied with
  std::vector<std::string> tensors{};         ///< their names
  std::vector<std::vector<double>> shares{};  ///< (tensors, models), rows that add up to 1
  std::vector<double> losses{};               ///< before each iteration
};

/// Learns the shares and the logit scale with AdamW.
///
/// `loss(weights, gradient)` returns the held-out loss of a batch at `weights` and writes its gradient with respect to
/// every tensor into `gradient`: HeldOutLoss of radapt/train/held_out.hpp does. It is called once per iteration and
/// chooses the batch. All models are held in memory at once. Without a tensor of role::head (a Clip) the logit scale
/// stays 1: the model's own is one of the tensors that are mixed. A loss or gradient that is not finite is an error.
template <class Models, class Loss>
LearnedSoup<detail::weights_of<Models>> learned_soup(const Models& models, Loss&& loss,
                                                     const LearnedSoupOptions& options) {
  using W = detail::weights_of<Models>;
  SoupMixture<W> mixture(detail::checked_models("learned_soup", models));
  if (options.iterations == 0) {
    fail({.what = "learned_soup: option iterations",
          .expected = "at least 1",
          .got = "0",
          .hint = "The released code does 5 epochs of the held-out data"});
  }
  LearnedSoup<W> soup{.weights = mixture.mix()};
  detail::Adam adam(mixture.parameters().size(), options.optimizer);
  W gradient(soup.weights.classes());
  Progress progress("learned soup", options.iterations, options.progress);
  for (Index i = 0; i < options.iterations; ++i) {
    const double value = static_cast<double>(loss(std::as_const(soup.weights), gradient));
    std::vector<double> d = mixture.gradient(gradient);
    double sum = value;
    for (const double x : d) { sum += x; }
    detail::check_finite("learned_soup, iteration " + std::to_string(i), "the held-out loss and its gradient", sum);
    if (!options.learns_logit_scale) { d.back() = 0; }
    const double scale = mixture.logit_scale();
    adam.step(mixture.parameters(), d);
    if (!options.learns_logit_scale) { mixture.parameters().back() = scale; }
    soup.losses.push_back(value);
    soup.weights = mixture.mix();
    progress.advance(1, "loss " + std::to_string(value));
  }
  soup.logit_scale = mixture.logit_scale();
  for (Index j = 0; j < mixture.tensors(); ++j) {
    soup.tensors.push_back(mixture.tensor(j));
    soup.shares.push_back(mixture.shares(j));
  }
  return soup;
}

}  // namespace radapt
