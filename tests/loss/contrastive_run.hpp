#pragma once
/// One contrastive loss on given features, step by step as the trainer takes it: normalise, targets, loss, and back.
#include <cstdint>
#include <span>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/loss/targets.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/norm.hpp"

namespace radapt_test {

/// Pairs of features, (batch, width) each and not normalised, with the logarithm of the model's own scale.
template <class T>
struct Pairs {
  radapt::Index batch, width;
  std::vector<T> image, text;
  T log_scale = T{0};
};

template <class T>
struct ContrastiveResult {
  double loss = 0;
  std::vector<T> dimage, dtext;  // of the features as given
  T dlog_scale = T{0};
  std::vector<T> image, text;  // normalised
  std::vector<T> workspace;    // what the kernel left in the place of the logits
  radapt::loss::ContrastiveTargets<radapt::statistic_t<T>> targets;

  /// Target of text j for image i.
  double target(radapt::Index i, radapt::Index j) const {
    return static_cast<double>(targets.labels[i] == targets.labels[j] ? targets.positive[i] : targets.negative[i]);
  }
};

template <class S, class Loss>
ContrastiveResult<typename S::T> contrastive(const Loss& loss, const Pairs<typename S::T>& pairs,
                                             std::span<const std::int32_t> groups) {
  using T = typename S::T;
  using Statistic = radapt::statistic_t<T>;
  const radapt::Index n = pairs.batch, width = pairs.width;
  radapt::Context<typename S::backend> c;
  ContrastiveResult<T> r;
  const auto rows = [&](auto& v) { return radapt::Matrix{v.data(), n, width}; };
  std::vector<Statistic> image_norm(n), text_norm(n), log_sums(2 * n);
  std::vector<T> dimage_unit(n * width), dtext_unit(n * width);
  for (auto* v : {&r.image, &r.text, &r.dimage, &r.dtext}) { v->resize(n * width); }
  r.workspace.resize(n * n);
  radapt::run(c, radapt::op::l2_normalize_forward<T>{
                     .y = rows(r.image), .x = rows(pairs.image), .norm = {image_norm.data(), n}});
  radapt::run(
      c, radapt::op::l2_normalize_forward<T>{.y = rows(r.text), .x = rows(pairs.text), .norm = {text_norm.data(), n}});
  r.targets = radapt::loss::ContrastiveTargets<Statistic>(n);
  loss.targets(groups, r.targets);
  radapt::op::contrastive_loss<T> o{.image = rows(r.image),
                                    .text = rows(r.text),
                                    .labels = r.targets.labels.data(),
                                    .positive = {r.targets.positive.data(), n},
                                    .negative = {r.targets.negative.data(), n},
                                    .margin = r.targets.margin,
                                    .scale = r.targets.scale,
                                    .logits = {r.workspace.data(), n, n},
                                    .log_sums = {log_sums.data(), 2 * n},
                                    .loss = &r.loss,
                                    .dimage = rows(dimage_unit),
                                    .dtext = rows(dtext_unit)};
  if constexpr (Loss::uses_logit_scale) {
    o.log_scale = &pairs.log_scale;
    o.dlog_scale = &r.dlog_scale;
  }
  radapt::run(c, o);
  radapt::run(c,
              radapt::op::l2_normalize_backward<T>{
                  .dx = rows(r.dimage), .dy = rows(dimage_unit), .y = rows(r.image), .norm = {image_norm.data(), n}});
  radapt::run(c, radapt::op::l2_normalize_backward<T>{
                     .dx = rows(r.dtext), .dy = rows(dtext_unit), .y = rows(r.text), .norm = {text_norm.data(), n}});
  return r;
}

}  // namespace radapt_test
