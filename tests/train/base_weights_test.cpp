/// What a run begins with: weights that stay where they are, in memory or in a mapped file, and adapters beside them.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "clip/fixture_models.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/io/load_mapped.hpp"
#include "radapt/train/deploy_ensembles.hpp"
#include "radapt/train/recipes.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using Plain = radapt::Clip<TinyQuickGelu>;
template <class Rank = radapt::full>
using Adapters = radapt::recipe::r_adapter<TinyQuickGelu, Rank>;
constexpr Index batch = 4;

std::filesystem::path checkpoint() { return shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors"); }
radapt::ConstWeights<Plain> mapped() { return radapt::load_mapped<Plain>(checkpoint()); }

radapt::TrainOptions options() {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 1e-3, .warmup = 0, .total = 10, .minimum = 0};
  o.average.momentum = 0.5;
  return o;
}

/// Loss and gradient norm of three steps.
template <class Recipe, class Backend>
std::vector<double> three_steps(radapt::Trainer<Recipe, Backend>& trainer) {
  std::vector<double> reports;
  for (std::uint64_t step = 0; step < 3; ++step) {
    radapt::Random random(7, step);
    std::vector<float> pixels(batch * Plain::PixelRow::width);
    std::generate(pixels.begin(), pixels.end(), [&] { return static_cast<float>(random.normal()); });
    auto captions = radapt::Captions::of<Plain>();
    const auto end = static_cast<std::int64_t>(TinyQuickGelu::vocabulary) - 1;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(batch); ++i) {
      captions.add(std::vector<std::int64_t>{end - 1, i, end});
    }
    const std::vector<std::int32_t> groups{0, 1, 2, 0};
    const auto report = trainer.step({.pixels = pixels, .captions = &captions, .groups = groups});
    reports.push_back(report.loss);
    reports.push_back(report.grad_norm);
  }
  return reports;
}

}  // namespace

TEST_CASE_TEMPLATE("adapters beside weights that stay where they are begin as in a copy", Rank, radapt::full,
                   radapt::low_rank<4>) {
  using Policy = radapt::RAdapter<Rank>;
  const auto loaded = radapt::load<Plain>(checkpoint());
  const auto copied = radapt::with_adapters<Policy>(loaded, 5);
  const radapt::ConstWeights<Plain> view = loaded;
  CHECK(radapt::same_weights<typename Adapters<Rank>::trained, float>(radapt::with_adapters<Policy>(view, 5), copied));

  // In the file, of which nobody else holds the mapping.
  const auto shared = radapt::with_adapters<Policy>(mapped(), 5);
  CHECK(radapt::same_weights<typename Adapters<Rank>::trained, float>(shared, copied));
  Index in_file = 0;
  for (const auto& range : shared.ranges()) { in_file += range.in_file ? range.elements : 0; }
  CHECK(in_file == radapt::count<Plain>());
  for (const auto& tensor : shared.tensors()) {
    CAPTURE(tensor.name());
    CHECK(shared.in_file(tensor.data) != tensor.facts.is_adapter);
  }
}

TEST_CASE_TEMPLATE("a run on mapped weights is that on loaded ones", Backend, radapt::reference, radapt::onednn,
                   radapt::onednn_bf16) {
  using Trainer = radapt::Trainer<Adapters<>, Backend>;
  const auto loaded = radapt::load<Plain>(checkpoint());
  const auto start = radapt::with_adapters<radapt::RAdapter<>>(loaded);
  Trainer on_loaded(start, options()), on_mapped(radapt::with_adapters<radapt::RAdapter<>>(mapped()), options());
  // The same sums; tensors in a file begin at other addresses, of which oneDNN's order depends.
  CHECK(normalised_error(three_steps(on_mapped), three_steps(on_loaded)) < 1e-5);
  const auto got = radapt::deploy(on_mapped, 0.5), expected = radapt::deploy(on_loaded, 0.5);
  // AdamW divides each gradient by its own size: where that is near zero a parameter may move the other way.
  CHECK(normalised_error(std::vector<float>(got.buffer().begin(), got.buffer().end()),
                         std::vector<float>(expected.buffer().begin(), expected.buffer().end())) < 1e-3);
  CHECK(radapt::same_weights<Plain, float>(mapped(), loaded));  // nothing was written to the file
  CHECK(radapt::same_weights<typename Trainer::Model, float>(on_mapped.base(), start));
  CHECK(Trainer::memory(on_mapped.base(), options()).base == on_mapped.base().bytes());
}

TEST_CASE("a base that is given away lives as long as the trainer, and as what is deployed with it") {
  using Recipe = radapt::with_after<Adapters<>, radapt::VarianceReduction>;
  using Trainer = radapt::Trainer<Recipe, radapt::reference>;
  const auto start = radapt::with_adapters<radapt::RAdapter<>>(radapt::load<Plain>(checkpoint()));
  Trainer held(start, options());
  CHECK(held.base().ranges()[0].begin == start.buffer().data());
  std::optional<Trainer> given(std::in_place, radapt::Weights(start), options());
  CHECK(given->base().ranges()[0].begin != start.buffer().data());
  CHECK(three_steps(*given) == three_steps(held));
  const auto pair = radapt::deploy(*given, 0.5);
  given.reset();
  CHECK(radapt::same_weights<typename Recipe::trained, float>(pair.zero_shot, start));
}
