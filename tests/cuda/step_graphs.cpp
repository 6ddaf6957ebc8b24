/// Steps that run as graphs, which only the stand-in can count.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/cuda/kernels/runtime.cuh"
#include "radapt/clip/initialise.hpp"
#include "radapt/core/input_queue.hpp"
#include "radapt/train/trainer.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using radapt_test::on_host::Counts;
namespace recipe = radapt::recipe;

/// A backend whose steps are graphs, as a program would make one.
template <class Backend>
struct Graphs : Backend {
  Graphs() : Backend(radapt::CudaProducts::vendor, radapt::CudaSteps::graphs) {}
};

/// What steps left, and what they took.
struct Run {
  std::vector<double> reports;
  std::vector<float> parameters;
  Index waits, graphs_made, graphs_changed, outside_of_graphs;
};

/// Five steps on batches with captions of other lengths each, in two micro-batches where `parts` says so. The second
/// one is refused where `fails`: it throws when half of it was launched.
template <class Recipe, class Backend>
Run five_steps(bool parts = false, bool fails = false) {
  constexpr std::uint64_t steps = 5;
  radapt::Weights<typename Recipe::trained> weights;
  radapt::initialise_clip(weights, 1);
  radapt::TrainOptions options{.size = {.batch = SmallPairs::batch}};
  if (parts) { options.size.micro_batch = SmallPairs::batch / 2; }
  options.schedule = {.base = 1e-3, .warmup = 0, .total = 10, .minimum = 0};
  radapt::Trainer<Recipe, Backend> trainer(weights, options);
  radapt::InputQueue<Backend> queue(trainer.context(), SmallPairs().pixels.size());
  const Counts before = Counts::all();
  Run run{};
  for (std::uint64_t i = 0; i < steps; ++i) {
    const SmallPairs pairs(i);
    auto batch = pairs.view();
    if (fails && i == 1) {
      SmallPairs bad(i);
      bad.groups.pop_back();
      CHECK_THROWS_AS(trainer.step(bad.view()), radapt::error);
      std::fill(bad.pixels.begin(), bad.pixels.end(), std::numeric_limits<float>::quiet_NaN());
      bad.groups = pairs.groups;
      CHECK_THROWS_WITH_AS(trainer.step(bad.view()), doctest::Contains("not finite"), radapt::error);
    }
    std::copy(pairs.pixels.begin(), pairs.pixels.end(), queue.room().begin());
    queue.send(pairs.pixels.size());
    batch.pixels = queue.receive();
    const auto report = trainer.step(batch);
    run.reports.push_back(report.loss);
    run.reports.push_back(report.grad_norm);
  }
  const Counts& after = Counts::all();
  run.waits = after.waits - before.waits;
  run.graphs_made = after.graphs_made - before.graphs_made;
  run.graphs_changed = after.graphs_changed - before.graphs_changed;
  run.outside_of_graphs = after.outside_of_graphs - before.outside_of_graphs;
  run.parameters.assign(trainer.state().parameter_buffer().begin(), trainer.state().parameter_buffer().end());
  return run;
}

}  // namespace

TEST_CASE("cuda: a step that runs as a graph has the bits of one whose kernels are launched, and waits as often") {
  const auto compare = []<class Recipe>(std::type_identity<Recipe>, bool parts) {
    const Run launched = five_steps<Recipe, radapt::cuda_bf16>(parts);
    const Run graphs = five_steps<Recipe, Graphs<radapt::cuda_bf16>>(parts);
    CHECK(graphs.reports == launched.reports);
    CHECK(graphs.parameters == launched.parameters);
    CHECK(graphs.waits == launched.waits);
    CHECK(launched.graphs_made == 0);
    return graphs;
  };
  for (const bool parts : {false, true}) {
    const Run run = compare(std::type_identity<SmallPairs::Recipe>{}, parts);
    CHECK(run.graphs_made + run.graphs_changed == 5);
    CHECK(run.graphs_made <= 2);        // the first step rounds weights, too
    CHECK(run.outside_of_graphs == 5);  // the copies of the input queue
  }
  compare(std::type_identity<recipe::flyp<SmallArch>>{}, false);
  compare(std::type_identity<recipe::carot<SmallArch>>{}, false);  // waits in the middle of a step
}

TEST_CASE("cuda: steps that end with an error leave nothing behind in the graphs of the next ones") {
  using Recipe = SmallPairs::Recipe;
  const Run launched = five_steps<Recipe, radapt::cuda>();
  const Run graphs = five_steps<Recipe, Graphs<radapt::cuda>>(false, true);
  CHECK(graphs.reports == launched.reports);
  CHECK(graphs.parameters == launched.parameters);
}
