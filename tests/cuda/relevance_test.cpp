/// Relevance of patches on the CUDA backends: the recorder reads on the host what kernels have written, layer by layer.
#include <doctest/doctest.h>

#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/attention_relevance.hpp"
#include "support/tolerance.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt_test::Index;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using Model = radapt::Classifier<radapt::Clip<SmallArch>>;

/// Of the images of SmallPairs, three at a time, so that the last piece is smaller. `memory` is where the weights are.
template <class Backend>
std::vector<float> relevance(const radapt::MemorySource& memory) {
  constexpr Index classes = 4;
  radapt::Weights<radapt::Clip<SmallArch>> clip;
  radapt::initialise_clip(clip, 1);
  radapt::Random random(2);
  std::vector<float> head(classes * SmallArch::embed);
  for (float& x : head) { x = static_cast<float>(random.normal()); }
  const radapt::Weights<Model> weights(radapt::zero_shot_classifier(clip, head), memory);
  const SmallPairs pairs;
  const std::vector<std::int32_t> labels{0, 1, 2, 3, 0, 1, 2, 3};
  radapt::AttentionRelevance<Model, Backend> of(classes, 3);
  std::vector<float> all(SmallPairs::batch * radapt::AttentionRelevance<Model, Backend>::patches);
  of(weights.tree(), pairs.pixels, labels, all);
  return all;
}

}  // namespace

TEST_CASE("cuda: the relevance of patches is that of the CPU, with weights of the host and of the GPU") {
  const auto cpu = relevance<radapt::onednn>(radapt::host_memory);
  for (const radapt::MemorySource* memory : {&radapt::host_memory, &radapt::cuda::memory()}) {
    // Through two blocks, there and back, in float; that of the oracle's three is 2e-5.
    CHECK(radapt_test::normalised_error(relevance<radapt::cuda>(*memory), cpu) < 2e-5);
    // Factors are off by 2^-9, and the way there and back through two blocks is some forty of them.
    const double error = radapt_test::normalised_error(relevance<radapt::cuda_bf16>(*memory), cpu);
    CHECK(error < 5e-2);
    CHECK(error > 1e-4);
  }
}
