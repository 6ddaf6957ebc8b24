/// VRF on an R-Adapter: the fine-tuned and the zero-shot model are two sessions on one set of weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/ensemble/vrf.hpp"

using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 2, 24}, text{12, 2, 1, 20};
};
using Plain = radapt::Clip<Tiny>;
using Adapted = radapt::Clip<Tiny, radapt::RAdapter<>>;
constexpr Index classes = 4, samples = 40;

/// Images, and a prompt for each class.
struct Data {
  std::vector<double> pixels = std::vector<double>(samples * Plain::PixelRow::width);
  radapt::Captions prompts = radapt::Captions::of<Plain>();
  Data() {
    radapt::Random random(7);
    for (double& x : pixels) { x = random.normal(); }
    for (Index c = 0; c < classes; ++c) {
      prompts.add(std::vector<std::int64_t>{14, static_cast<std::int64_t>(c), 3, 15});
    }
  }
};

/// What a model says of the images: features, and logits of a head from its own text tower.
struct Said {
  std::vector<double> features, logits;
};
template <class M>
Said said(radapt::Session<M, radapt::reference, double>& session, const Data& data) {
  Said out{std::vector<double>(samples * Tiny::embed), std::vector<double>(samples * classes)};
  session.encode_images(data.pixels, out.features);
  session.normalize(out.features);
  const auto head = radapt::zero_shot_weights(session, data.prompts, std::vector<Index>(classes, 1));
  for (Index i = 0; i < samples; ++i) {
    for (Index c = 0; c < classes; ++c) {
      for (Index e = 0; e < Tiny::embed; ++e) {
        out.logits[i * classes + c] += session.scale() * out.features[i * Tiny::embed + e] * head[c * Tiny::embed + e];
      }
    }
  }
  return out;
}
auto table(const std::vector<double>& values, Index width) { return radapt::rows_of(values, width); }

radapt::VrfPrediction<double> mixed(const Said& tuned, const Said& zero_shot, const std::vector<std::int32_t>& labels) {
  const radapt::FailureSet<double> failures(table(tuned.features, Tiny::embed), table(tuned.logits, classes),
                                            table(zero_shot.logits, classes), labels);
  REQUIRE(failures.size() > 1);
  radapt::VrfOptions options;
  options.k = 2;
  options.progress.mode = radapt::ProgressOptions::Mode::quiet;
  const auto d =
      failures.distances(table(tuned.features, Tiny::embed), 2, radapt::FeatureDistance::squared_l2, options.progress);
  const auto [least, most] = std::minmax_element(d.begin(), d.end());
  options.weight = {.a = (*least + *most) / 2, .b = (*most - *least) / 8};  // omega from sigmoid(-4) to sigmoid(4)
  return radapt::vrf(failures, table(tuned.features, Tiny::embed), table(tuned.logits, classes),
                     table(zero_shot.logits, classes), options);
}

}  // namespace

TEST_CASE(
    "VRF on an R-Adapter needs one set of weights: sessions at alpha 1 and 0 are the merged and the plain model") {
  radapt::Weights<Adapted, double> adapted;
  radapt::Random random(3);
  for (const auto& tensor : adapted.tensors()) {
    // Positions that outweigh the patches would make all images alike, small adapters both models.
    const double deviation = tensor.name().find("adapter") != std::string::npos ? 0.8 : 0.3;
    for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] = deviation * random.normal(); }
    if (tensor.name() == "visual.positional_embedding" || tensor.name() == "visual.class_embedding") {
      for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] *= 0.1; }
    }
  }
  *adapted.tree().logit_scale.data = std::log(10.0);
  radapt::Weights<Plain, double> plain;
  radapt::copy_by_name(plain, adapted);
  const auto merged = radapt::merge(1.0, adapted);

  const Data data;
  radapt::Session<Adapted, radapt::reference, double> tuned(adapted, {.adapter_alpha = 1.0}),
      zero_shot(adapted, {.adapter_alpha = 0.0});
  // The frozen base is in memory once.
  CHECK(tuned.weights().ranges()[0].begin == zero_shot.weights().ranges()[0].begin);
  radapt::Session<Plain, radapt::reference, double> of_merged(merged), of_plain(plain);
  const Said of_tuned = said(tuned, data), of_zero_shot = said(zero_shot, data);
  CHECK(of_zero_shot.features == said(of_plain, data).features);  // alpha 0 is the plain model, bit for bit

  // Labels that the fine-tuned model gets right: where the two differ, the zero-shot model failed.
  const auto labels = radapt::predicted_classes(table(of_tuned.logits, classes));
  const auto shared = mixed(of_tuned, of_zero_shot, labels);
  const auto apart = mixed(said(of_merged, data), said(of_plain, data), labels);
  CHECK(shared.classes == apart.classes);
  double worst = 0, lowest = 1, highest = 0;
  for (Index i = 0; i < samples; ++i) {
    worst = std::max(worst, std::abs(shared.omega[i] - apart.omega[i]));
    lowest = std::min(lowest, shared.omega[i]);
    highest = std::max(highest, shared.omega[i]);
  }
  CHECK(worst < 1e-9);  // features to 1e-13; omega is 1/(4 b) times as steep as the distance, which spreads over 8 b
  CHECK(highest - lowest > 0.9);
}
