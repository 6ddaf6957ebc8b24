#pragma once
/// Tip-Adapter and Tip-Adapter-F (Zhang et al., ECCV 2022; methods.md 7.9): few-shot features as a cache that votes
/// beside the zero-shot head.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/core/random.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/norm.hpp"
#include "radapt/op/update.hpp"
#include "radapt/task/accuracy.hpp"
#include "radapt/task/late_progress.hpp"

namespace radapt::task {

/// How much the cache counts, and how fast a vote fades with distance; the defaults are those for ImageNet.
struct TipSettings {
  double alpha = 1.17, beta = 1.0;
  double scale = 100.0;       ///< of the zero-shot logits: exp(logit_scale)
  bool trained_keys = false;  ///< the keys were trained, and are of any length
};

/// Values of alpha and beta that a search tries: `steps` of them from `from` (included) up to `to` (left out), equally
/// spaced. The defaults are the released code's for ImageNet.
struct TipSearch {
  Index beta_steps = 200, alpha_steps = 20;
  double from = 0.1, beta_to = 7.0, alpha_to = 3.0;
};

/// What a search found.
struct TipChoice {
  double alpha = 0.0, beta = 0.0, accuracy = 0.0;
};

/// How Tip-Adapter-F trains its keys: AdamW and a cosine from lr to 0 over all steps, as the released code does.
struct TipTraining {
  Index epochs = 20, batch = 256;
  double lr = 1e-3, eps = 1e-4, weight_decay = 0.01;
  std::uint64_t seed = 0;  ///< of the order in each epoch
};

/// Keys of a cache from several passes over the same samples, each augmented differently: the mean over passes of rows
/// of unit length, of unit length again. `features` is (passes, samples, embed). Errors: sizes that do not fit, a row
/// of zeros.
inline std::vector<float> cache_keys(std::span<const float> features, Index passes, Index embed) {
  if (passes == 0 || embed == 0 || features.empty() || features.size() % (passes * embed) != 0) {
    fail({.what = "cache_keys",
          .expected = "features (" + std::to_string(passes) + " passes, samples, " + std::to_string(embed) + ")",
          .got = std::to_string(features.size()) + " numbers",
          .hint = {}});
  }
  const Index samples = features.size() / passes / embed;
  std::vector<float> keys(samples * embed);
  std::vector<double> sum(embed);
  const auto unit = [&](const auto* row, auto&& take) {
    double squares = 0.0;
    for (Index e = 0; e < embed; ++e) { squares += static_cast<double>(row[e]) * static_cast<double>(row[e]); }
    if (!(squares > 0.0)) {
      fail({.what = "cache_keys", .expected = "features with a direction", .got = "zeros or NaN", .hint = {}});
    }
    for (Index e = 0; e < embed; ++e) { take(e, static_cast<double>(row[e]) / std::sqrt(squares)); }
  };
  for (Index s = 0; s < samples; ++s) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (Index p = 0; p < passes; ++p) {
      unit(features.data() + (p * samples + s) * embed, [&](Index e, double value) { sum[e] += value; });
    }
    unit(sum.data(), [&](Index e, double value) { keys[s * embed + e] = static_cast<float>(value); });
  }
  return keys;
}

/// logits = scale f W^T + alpha exp(-beta (1 - f K^T)) L on normalised features f: K are the keys of the cache (keys,
/// embed), L their labels as one-hot rows, W the zero-shot head (classes, embed). Training moves the keys alone.
template <class Backend, class T = float>
class TipAdapter {
 public:
  /// `keys` (labels.size(), embed) are of unit length, as cache_keys makes them; `head` (classes, embed) likewise, or
  /// empty: then the cache votes alone. Errors: no keys, sizes that do not fit, a label outside the classes, keys whose
  /// length is not 1 within a hundredth, unless the settings say that they were trained.
  TipAdapter(std::span<const T> keys, std::span<const std::int32_t> labels, std::span<const T> head, Index classes,
             Index embed, TipSettings settings = {})
      : embed_(embed),
        classes_(classes),
        labels_(labels.begin(), labels.end()),
        settings_(settings),
        head_(head.size(), memory_of<Backend>()),
        keys_(keys.size(), memory_of<Backend>()) {
    if (labels.empty() || embed == 0 || keys.size() != labels.size() * embed ||
        (!head.empty() && head.size() != classes * embed)) {
      fail({.what = "TipAdapter",
            .expected = "keys (" + std::to_string(labels.size()) + ", " + std::to_string(embed) +
                        "), at least one, and a head (" + std::to_string(classes) + ", " + std::to_string(embed) +
                        ") or none",
            .got = std::to_string(keys.size()) + " and " + std::to_string(head.size()) + " numbers",
            .hint = {}});
    }
    detail::check_labels("TipAdapter", labels, classes, "a label");
    for (Index i = 0; i < labels.size() && !settings.trained_keys; ++i) {
      double squares = 0.0;
      for (const T x : keys.subspan(i * embed, embed)) { squares += static_cast<double>(x) * static_cast<double>(x); }
      if (!(std::abs(std::sqrt(squares) - 1.0) < 0.01)) {
        fail({.what = "TipAdapter: key " + std::to_string(i),
              .expected = "a length of 1",
              .got = std::to_string(std::sqrt(squares)),
              .hint = "Features of a model are of any length: cache_keys() makes keys of them"});
      }
    }
    std::copy(keys.begin(), keys.end(), keys_.begin());
    std::copy(head.begin(), head.end(), head_.begin());
  }

  const TipSettings& settings() const { return settings_; }
  void set(double alpha, double beta) {
    settings_.alpha = alpha;
    settings_.beta = beta;
  }
  /// (keys, embed); of unit length until they are trained.
  std::span<const T> keys() const { return {keys_.data(), keys_.size()}; }
  Index classes() const { return classes_; }

  /// Logits (N, classes) of features (N, embed) of any length but zero. Error: no whole rows.
  std::vector<T> logits(std::span<const T> features) {
    std::vector<T> all;
    in_blocks(features, [&](Index, Index rows) {
      const Matrix<T> z = combine(rows);
      all.insert(all.end(), z.data, z.data + z.size());
    });
    return all;
  }

  /// Finds alpha and beta with the highest accuracy on features (N, embed) and labels (N), and sets them; of equal ones
  /// the smallest beta, then the smallest alpha. Give samples that are neither in the cache nor in the test set: the
  /// released ImageNet script searches on the test set, which makes its figures too good. Errors: sizes that do not
  /// fit, a label outside the classes, no steps.
  TipChoice search(std::span<const T> features, std::span<const std::int32_t> labels, const TipSearch& grid = {}) {
    check_labelled(features, labels);
    if (grid.alpha_steps == 0 || grid.beta_steps == 0) {
      fail({.what = "TipAdapter::search", .expected = "at least one step of each", .got = "none", .hint = {}});
    }
    const auto at = [&](Index i, Index steps, double to) {
      return grid.from + (to - grid.from) * static_cast<double>(i) / static_cast<double>(steps);
    };
    std::vector<Index> right(grid.alpha_steps * grid.beta_steps);
    LateProgress progress("alpha and beta", grid.beta_steps * features.size() / embed_);
    in_blocks(features, [&](Index first, Index rows) {
      for (Index b = 0; b < grid.beta_steps; ++b) {
        const Matrix<T> votes = vote(rows, at(b, grid.beta_steps, grid.beta_to));
        for (Index a = 0; a < grid.alpha_steps; ++a) {
          const T alpha = static_cast<T>(at(a, grid.alpha_steps, grid.alpha_to));
          for (Index i = 0; i < rows; ++i) {
            const T* const zero_shot = zero_shot_.data() + i * classes_;
            const T* const vote_row = votes.data + i * classes_;
            Index best = 0;
            for (Index c = 1; c < classes_; ++c) {
              const bool larger = zero_shot[c] + alpha * vote_row[c] > zero_shot[best] + alpha * vote_row[best];
              best = larger ? c : best;
            }
            right[b * grid.alpha_steps + a] += static_cast<std::int32_t>(best) == labels[first + i] ? 1U : 0U;
          }
        }
        progress.advance(rows);
      }
    });
    const auto best = std::max_element(right.begin(), right.end());
    const auto index = static_cast<Index>(best - right.begin());
    set(at(index % grid.alpha_steps, grid.alpha_steps, grid.alpha_to),
        at(index / grid.alpha_steps, grid.beta_steps, grid.beta_to));
    return {.alpha = settings_.alpha,
            .beta = settings_.beta,
            .accuracy = static_cast<double>(*best) / static_cast<double>(labels.size())};
  }

  /// Cross entropy of features (N, embed) with labels (N), and its gradient by the keys (keys, embed), which is
  /// assigned unless it is empty. N is at most `largest_block`. Errors: sizes that do not fit, a label outside the
  /// classes.
  double loss(std::span<const T> features, std::span<const std::int32_t> labels, std::span<T> dkeys = {}) {
    check_labelled(features, labels);
    const Index rows = labels.size();
    if (rows > largest_block || (!dkeys.empty() && dkeys.size() != keys_.size())) {
      fail({.what = "TipAdapter::loss",
            .expected = "at most " + std::to_string(largest_block) + " samples, and a gradient of " +
                        std::to_string(keys_.size()) + " numbers",
            .got = std::to_string(rows) + " and " + std::to_string(dkeys.size()),
            .hint = {}});
    }
    compare(features, rows);
    const Matrix<T> z = combine(rows);
    double value = 0.0;
    run(context_, op::cross_entropy<T>{.logits = z, .labels = labels.data(), .loss = &value, .dlogits = z});
    if (dkeys.empty()) { return value; }
    // d/da alpha exp(-beta (1 - a)) = alpha beta exp(-beta (1 - a)), for the class of the key.
    const T factor = static_cast<T>(settings_.alpha * settings_.beta);
    for (Index i = 0; i < rows; ++i) {
      for (Index k = 0; k < labels_.size(); ++k) {
        T& a = affinity_[i * labels_.size() + k];
        a = z.data[i * classes_ + static_cast<Index>(labels_[k])] * factor * fade(a, static_cast<T>(settings_.beta));
      }
    }
    run(context_, op::clear<T>{.x = {dkeys.data(), dkeys.size()}});
    run(context_, op::linear_backward_weight<T>{.dw = {dkeys.data(), labels_.size(), embed_},
                                                .dy = {affinity_.data(), rows, labels_.size()},
                                                .x = {normalised_.data(), rows, embed_}});
    finish(context_);
    return value;
  }

  /// Tip-Adapter-F: trains the keys on features (N, embed) with labels (N), usually those that the cache was made of;
  /// the values and the head stay. Returns the mean loss of each epoch. Errors: as `loss`, a batch of no samples or
  /// more than `largest_block`, a loss that is not finite.
  std::vector<double> train(std::span<const T> features, std::span<const std::int32_t> labels,
                            const TipTraining& options = {}) {
    check_labelled(features, labels);
    if (options.batch == 0 || options.batch > largest_block) {
      fail({.what = "TipAdapter::train",
            .expected = "batches of 1 to " + std::to_string(largest_block),
            .got = std::to_string(options.batch),
            .hint = {}});
    }
    const Index samples = labels.size(), batches = (samples + options.batch - 1) / options.batch;
    const Index total = options.epochs * batches;
    const auto room = [&] { return Buffer<T>(keys_.size(), memory_of<Backend>()); };
    Buffer<T> gradient = room(), first_moment = room(), second_moment = room();
    std::vector<Index> order(samples);
    for (Index i = 0; i < samples; ++i) { order[i] = i; }
    std::vector<T> batch_features;
    std::vector<std::int32_t> batch_labels;
    std::vector<double> losses;
    LateProgress progress("cache keys", total);
    Index step = 0;
    for (Index epoch = 0; epoch < options.epochs; ++epoch) {
      Random random(options.seed, epoch);
      for (Index i = samples; i-- > 1;) { std::swap(order[i], order[random.below(static_cast<std::uint32_t>(i + 1))]); }
      double sum = 0.0;
      for (Index first = 0; first < samples; first += options.batch) {
        const Index rows = std::min(options.batch, samples - first);
        batch_features.clear();
        batch_labels.clear();
        for (Index i = first; i < first + rows; ++i) {
          const auto row = features.subspan(order[i] * embed_, embed_);
          batch_features.insert(batch_features.end(), row.begin(), row.end());
          batch_labels.push_back(labels[order[i]]);
        }
        const double value = loss(batch_features, batch_labels, {gradient.data(), gradient.size()});
        if (!std::isfinite(value)) {
          fail({.what = "TipAdapter::train, step " + std::to_string(step),
                .expected = "a finite loss",
                .got = std::to_string(value),
                .hint = "Lower the learning rate, or check the features"});
        }
        sum += value * static_cast<double>(rows);
        const double progress_of_run = static_cast<double>(step) / static_cast<double>(total);
        const Index size = keys_.size();
        run(context_, op::adamw<T>{.parameters = {keys_.data(), size},
                                   .first_moment = {first_moment.data(), size},
                                   .second_moment = {second_moment.data(), size},
                                   .gradients = {gradient.data(), size},
                                   .lr = options.lr * 0.5 * (1.0 + std::cos(3.14159265358979323846 * progress_of_run)),
                                   .eps = options.eps,
                                   .weight_decay = options.weight_decay,
                                   .step = ++step});
        progress.advance();
      }
      losses.push_back(sum / static_cast<double>(samples));
    }
    finish(context_);
    return losses;
  }

  /// Samples that are held against the cache at once.
  static constexpr Index largest_block = 1024;

 private:
  static T fade(T cosine, T beta) { return std::exp(-beta * (T{1} - cosine)); }

  void check_rows(std::span<const T> features) const {
    if (features.empty() || features.size() % embed_ != 0) {
      fail({.what = "TipAdapter",
            .expected = "features in rows of " + std::to_string(embed_),
            .got = std::to_string(features.size()) + " numbers",
            .hint = {}});
    }
  }
  void check_labelled(std::span<const T> features, std::span<const std::int32_t> labels) const {
    check_rows(features);
    detail::check_pairs("TipAdapter", labels.size(), features.size() / embed_, "features");
    detail::check_labels("TipAdapter", labels, classes_, "a label");
  }
  template <class F>
  void in_blocks(std::span<const T> features, F&& f) {
    check_rows(features);
    const Index count = features.size() / embed_;
    for (Index first = 0; first < count; first += largest_block) {
      const Index rows = std::min(largest_block, count - first);
      compare(features.subspan(first * embed_, rows * embed_), rows);
      f(first, rows);
    }
  }

  /// Normalised features, their cosines with the keys, and the zero-shot logits.
  void compare(std::span<const T> features, Index rows) {
    normalised_.resize(rows * embed_);
    affinity_.resize(rows * labels_.size());
    zero_shot_.assign(rows * classes_, T{0});
    const Matrix<T> f{normalised_.data(), rows, embed_};
    run(context_, op::l2_normalize_forward<T>{.y = f, .x = {features.data(), rows, embed_}});
    run(context_,
        op::linear_forward<T>{
            .y = {affinity_.data(), rows, labels_.size()}, .x = f, .weight = {keys_.data(), labels_.size(), embed_}});
    if (head_.size() == 0) { return; }
    run(context_, op::linear_forward<T>{
                      .y = {zero_shot_.data(), rows, classes_}, .x = f, .weight = {head_.data(), classes_, embed_}});
    for (T& z : zero_shot_) { z *= static_cast<T>(settings_.scale); }
  }
  /// Sums of exp(-beta (1 - cosine)) over the keys of each class, (rows, classes).
  Matrix<T> vote(Index rows, double beta) {
    votes_.assign(rows * classes_, T{0});
    for (Index i = 0; i < rows; ++i) {
      T* const row = votes_.data() + i * classes_;
      const T* const a = affinity_.data() + i * labels_.size();
      for (Index k = 0; k < labels_.size(); ++k) {
        row[static_cast<Index>(labels_[k])] += fade(a[k], static_cast<T>(beta));
      }
    }
    return {votes_.data(), rows, classes_};
  }
  Matrix<T> combine(Index rows) {
    const Matrix<T> z = vote(rows, settings_.beta);
    for (Index i = 0; i < z.size(); ++i) { z.data[i] = zero_shot_[i] + static_cast<T>(settings_.alpha) * z.data[i]; }
    return z;
  }

  Index embed_, classes_;
  std::vector<std::int32_t> labels_;
  TipSettings settings_;
  Buffer<T> head_, keys_;
  Context<Backend> context_;
  std::vector<T> normalised_, affinity_, zero_shot_, votes_;
};

}  // namespace radapt::task
