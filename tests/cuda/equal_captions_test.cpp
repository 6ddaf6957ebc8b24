/// Captions that run once, and activations that are computed again, on the CUDA backends.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/train/trainer.hpp"
#include "support/tolerance.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using Flyp = radapt::recipe::flyp<SmallArch>;
using RAdapter = radapt::recipe::r_adapter<SmallArch>;
constexpr Index batch = SmallPairs::batch;

/// Eight captions, three of which are distinct.
radapt::Captions equal_captions() {
  const SmallPairs pairs;
  radapt::Captions captions = radapt::Captions::of<Flyp::trained>();
  for (const Index i : std::vector<Index>{4, 4, 1, 4, 6, 1, 4, 6}) { captions.add(pairs.captions, i); }
  return captions;
}
template <class Backend>
std::vector<float> features() {
  radapt::Weights<Flyp::trained> weights;
  radapt::initialise_clip(weights, 1);
  radapt::Session<Flyp::trained, Backend> session(weights, {.captions = 2});
  std::vector<float> out(batch * SmallArch::embed);
  session.encode_texts(equal_captions(), out);
  return out;
}
/// The gradients of a step on them.
template <class R, class Backend>
std::vector<float> gradients() {
  radapt::Weights<typename R::trained> weights;
  radapt::initialise_clip(weights, 1);
  radapt::Trainer<R, Backend> trainer(weights, {.size = {.batch = batch}});
  SmallPairs pairs;
  pairs.captions = equal_captions();
  trainer.step(pairs.view());
  const auto& g = trainer.state().gradient_buffer();
  return {g.begin(), g.end()};
}

}  // namespace

TEST_CASE("cuda: equal captions run once and have the features and gradients of the CPU") {
  const auto gpu = features<radapt::cuda>();
  CHECK(radapt_test::normalised_error(gpu, features<radapt::onednn>()) < 1e-5);  // features in float
  CHECK(std::equal(gpu.begin(), gpu.begin() + SmallArch::embed, gpu.begin() + 3 * SmallArch::embed));
  // Gradients in float (docs/numerics.md): sums in another order.
  CHECK(radapt_test::normalised_error(gradients<Flyp, radapt::cuda>(), gradients<Flyp, radapt::onednn>()) < 1e-4);
}
TEST_CASE("cuda: activations that are computed again give the bits of those that are kept") {
  const auto kept = gradients<RAdapter, radapt::cuda>();
  CHECK(std::any_of(kept.begin(), kept.end(), [](float g) { return g != 0.0F; }));
  CHECK(kept == gradients<radapt::with_recompute<RAdapter>, radapt::cuda>());
  CHECK(kept == gradients<radapt::with_recompute<RAdapter, radapt::recompute::block>, radapt::cuda>());
}
