#pragma once
/// The losses of the golden table on one backend: value and gradients.
#include <vector>

#include "loss/contrastive_run.hpp"
#include "radapt/backend/reference/reference.hpp"
#include "radapt/loss/contrastive.hpp"
#include "radapt/loss/cross_entropy.hpp"
#include "radapt/loss/mpm_nce.hpp"
#include "support/golden_tables.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

namespace radapt_test {

using radapt::Index;

template <class T>
Pairs<T> read_pairs(TableCase& c, const std::string& image, const std::string& text) {
  return {.batch = c.extent(image, 0), .width = c.extent(image, 1), .image = c.read<T>(image), .text = c.read<T>(text)};
}

template <class T>
void check_loss_and_gradients(TableCase& c, const ContrastiveResult<T>& got, const std::string& image,
                              const std::string& text) {
  constexpr double bound = bounds<T>::tables;
  CHECK(table_error(std::vector{got.loss}, c.read<double>("loss")) < bound);
  CHECK(table_error(got.dimage, c.read<double>("grad." + image)) < bound);
  CHECK(table_error(got.dtext, c.read<double>("grad." + text)) < bound);
}

template <class S>
void mpm_nce(TableCase& c) {
  using T = typename S::T;
  const radapt::loss::MpmNce loss{
      .tau = c.scalar<double>("tau"), .margin = c.scalar<double>("delta"), .smoothing = c.scalar<double>("eps")};
  const auto pairs = read_pairs<T>(c, "image_features", "text_features");
  const auto got = contrastive<S>(loss, pairs, c.labels("labels"));
  check_loss_and_gradients(c, got, "image_features", "text_features");
  if (!c.has("logits")) { return; }

  // Logits and soft targets as the kernel is told to make them from what the loss filled in.
  const Index n = pairs.batch;
  std::vector<double> logits(n * n), targets(n * n);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) {
      double cosine = 0;
      for (Index e = 0; e < pairs.width; ++e) {
        cosine +=
            static_cast<double>(got.image[i * pairs.width + e]) * static_cast<double>(got.text[j * pairs.width + e]);
      }
      const double margin = got.targets.labels[i] == got.targets.labels[j] ? 0.0 : got.targets.margin;
      logits[i * n + j] = got.targets.scale * (cosine + margin);
      targets[i * n + j] = got.target(i, j);
    }
  }
  CHECK(table_error(logits, c.read<double>("logits")) < bounds<T>::tables);
  CHECK(table_error(targets, c.read<double>("soft_targets")) < bounds<T>::tables);
  // The operation promises a workspace and no more. The reference, which is written for reading, leaves the gradient of
  // the logits there; another kernel need not.
  if constexpr (std::is_same_v<typename S::backend, radapt::reference>) {
    CHECK(table_error(got.workspace, c.read<double>("grad.logits")) < bounds<T>::tables);
  } else {
    c.leave_out("grad.logits");
  }
}

template <class S>
void mpm_nce_unlabelled(TableCase& c) {
  // The margin must not matter without labels.
  const radapt::loss::MpmNce loss{.tau = c.scalar<double>("tau"), .margin = 0.05, .smoothing = c.scalar<double>("eps")};
  const auto got = contrastive<S>(loss, read_pairs<typename S::T>(c, "image", "text"), {});
  check_loss_and_gradients(c, got, "image", "text");
}

template <class S>
void info_nce(TableCase& c) {
  using T = typename S::T;
  auto pairs = read_pairs<T>(c, "image", "text");
  pairs.log_scale = c.scalar<T>("logit_scale");
  const auto got = contrastive<S>(radapt::loss::Contrastive{}, pairs, {});
  check_loss_and_gradients(c, got, "image", "text");
  CHECK(table_error(std::vector{got.dlog_scale}, c.read<double>("grad.logit_scale")) < bounds<T>::tables);
}

template <class S>
void cross_entropy(TableCase& c) {
  using T = typename S::T;
  const radapt::loss::CrossEntropy options{.smoothing = c.scalar<double>("smoothing")};
  const Index rows = c.extent("logits", 0), classes = c.extent("logits", 1);
  auto logits = c.read<T>("logits");
  const auto labels = c.labels("labels");
  std::vector<T> dlogits(logits.size());
  double loss = 0;
  radapt::Context<typename S::backend> context;
  radapt::op::cross_entropy<T> o{.logits = {logits.data(), rows, classes},
                                 .labels = labels.data(),
                                 .smoothing = options.smoothing,
                                 .loss = &loss,
                                 .dlogits = {dlogits.data(), rows, classes}};
  radapt::run(context, o);
  const auto expected_loss = c.read<double>("loss"), expected = c.read<double>("grad.logits");
  CHECK(table_error(std::vector{loss}, expected_loss) < bounds<T>::tables);
  CHECK(table_error(dlogits, expected) < bounds<T>::tables);
  // Without a gradient, and with the gradient in the place of the logits, as the trainer asks for it.
  o.dlogits = {};
  radapt::run(context, o);
  CHECK(table_error(std::vector{loss}, expected_loss) < bounds<T>::tables);
  o.dlogits = {logits.data(), rows, classes};
  radapt::run(context, o);
  CHECK(logits == dlogits);
}

/// Every family of losses, in the setting S.
template <class S>
void walk_golden_losses() {
  walk_tables("loss/golden_losses.hpp", {{"mpm_nce", mpm_nce<S>},
                                         {"mpm_nce_unlabelled", mpm_nce_unlabelled<S>},
                                         {"info_nce", info_nce<S>},
                                         {"cross_entropy", cross_entropy<S>}});
}

}  // namespace radapt_test
