/// However launches and pixels reach the GPU, a run has the same bits.
#include "cuda/five_steps.hpp"

#include <type_traits>

#include "radapt/loss/dropped_patch_distillation.hpp"
#include "support/tolerance.hpp"

using radapt_test::FiveSteps;
using radapt_test::Graphs;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
namespace recipe = radapt::recipe;

TEST_CASE("cuda: a run whose pixels go through an input queue has the bits of one that is given them") {
  const FiveSteps whole, queued{.queued = true};
  CHECK(queued.run<SmallPairs::Recipe, radapt::cuda>() == whole.run<SmallPairs::Recipe, radapt::cuda>());
  using NoFill = recipe::mask_fill<SmallArch, radapt::loss::DroppedPatchDistillation>;  // pixels also go past flags
  CHECK(queued.run<NoFill, radapt::cuda>() == whole.run<NoFill, radapt::cuda>());
}

TEST_CASE("cuda: kept patches of uneven micro-batches are those of the whole batch") {
  using NoFill = recipe::mask_fill<SmallArch, radapt::loss::DroppedPatchDistillation>;
  const auto whole = FiveSteps{}.run<NoFill, radapt::cuda>();
  // Losses and gradients are added up in another order, which AdamW's first steps make a millionth of the parameters.
  CHECK(radapt_test::normalised_error(FiveSteps{.micro_batch = 3}.run<NoFill, radapt::cuda>(), whole) < 1e-5);
}

TEST_CASE_TEMPLATE("cuda: a run on adapters beside a plain CLIP has the bits of one on weights in one buffer", Backend,
                   radapt::cuda, radapt::cuda_bf16) {
  const FiveSteps whole, apart{.apart = true};
  CHECK(apart.run<SmallPairs::Recipe, Backend>() == whole.run<SmallPairs::Recipe, Backend>());
}

TEST_CASE("cuda: a run whose steps are graphs has the bits of one whose kernels are launched") {
  const auto compare = []<class Recipe, class Backend>(std::type_identity<Recipe>, std::type_identity<Backend>,
                                                       FiveSteps steps) {
    CHECK(steps.run<Recipe, Graphs<Backend>>() == steps.run<Recipe, Backend>());
  };
  const std::type_identity<radapt::cuda_bf16> rounded;
  compare(std::type_identity<SmallPairs::Recipe>{}, std::type_identity<radapt::cuda>{}, {});
  compare(std::type_identity<SmallPairs::Recipe>{}, rounded, {.micro_batch = 4, .queued = true});
  compare(std::type_identity<recipe::flyp<SmallArch>>{}, rounded, {});
  compare(std::type_identity<recipe::carot<SmallArch>>{}, rounded, {});
}

TEST_CASE("cuda: steps that end with an error leave nothing behind for the next ones") {
  using Recipe = SmallPairs::Recipe;
  const auto expected = FiveSteps{}.run<Recipe, radapt::cuda>();
  const FiveSteps fails{.fails = true};
  CHECK(fails.run<Recipe, radapt::cuda>() == expected);
  CHECK(fails.run<Recipe, Graphs<radapt::cuda>>() == expected);
}
