/// Graphs that steps run as, which only the stand-in can count.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include "cuda/five_steps.hpp"
#include "radapt/backend/cuda/kernels/runtime.cuh"

using radapt_test::FiveSteps;
using radapt_test::on_host::Counts;
using Recipe = radapt_test::SmallPairs::Recipe;

namespace {

/// A term as a user may write it, whose value the host reads where it is computed.
struct ReadByTheHost : radapt::loss::Orthogonality {
  template <class T>
  void add(auto& context, radapt::Matrix<T> gradient, radapt::Matrix<const T> tensor, T* scratch, double* value) const {
    double here = 0;
    radapt::loss::Orthogonality::add(context, gradient, tensor, scratch, &here);
    *value += here;
  }
};

}  // namespace

TEST_CASE("cuda: every step is one graph, made anew where its form is another one, and nothing is launched beside it") {
  for (const radapt::Index micro_batch : {radapt::Index{0}, radapt_test::SmallPairs::batch / 2}) {
    CAPTURE(micro_batch);
    const Counts before = Counts::all();
    FiveSteps{.micro_batch = micro_batch, .queued = true}.run<Recipe, radapt_test::Graphs<radapt::cuda_bf16>>();
    const Counts& after = Counts::all();
    CHECK(after.graphs_made - before.graphs_made == 2);  // the first step rounds weights, too
    CHECK(after.graphs_changed - before.graphs_changed == 3);
    CHECK(after.waits - before.waits == 5);
    CHECK(after.outside_of_graphs - before.outside_of_graphs == 5);  // the copies of the input queue
  }
}

TEST_CASE("cuda: a wait in the middle of a step cuts it into graphs, and without graphs there are none") {
  using Flyp = radapt::recipe::flyp<radapt_test::SmallArch>;
  using WithTerm = radapt::Recipe<Flyp::model, Flyp::tune, Flyp::during, Flyp::after,
                                  radapt::loss::With<radapt::loss::Contrastive, ReadByTheHost>>;
  const Counts before = Counts::all();
  FiveSteps{}.run<WithTerm, radapt_test::Graphs<radapt::cuda>>();
  const Counts graphs = Counts::all();
  CHECK(graphs.outside_of_graphs - before.outside_of_graphs == 5);  // the copies back
  CHECK(graphs.waits - before.waits == 2 * 5);
  CHECK(graphs.graphs_made + graphs.graphs_changed - before.graphs_made - before.graphs_changed ==
        graphs.waits - before.waits);
  FiveSteps{}.run<Recipe, radapt::cuda>();
  CHECK(Counts::all().graphs_made == graphs.graphs_made);
}

TEST_CASE("cuda: a step that could not be recorded changes nothing, and copies that it was to fill are filled later") {
  using Backend = radapt_test::Graphs<radapt::cuda_bf16>;
  const auto weights = radapt_test::small_weights<radapt_test::SmallPairs::Model>();
  const radapt::TrainOptions options{.size = {.batch = radapt_test::SmallPairs::batch},
                                     .schedule = {.base = 1e-3, .warmup = 0, .total = 10, .minimum = 0}};
  const auto run = [&](std::uint64_t fails_at) {
    radapt::Trainer<Recipe, Backend> trainer(weights, options);
    std::vector<double> out;
    for (std::uint64_t i = 0; i < 3; ++i) {
      const radapt_test::SmallPairs pairs(i);
      if (i == fails_at) {
        radapt_test::on_host::Queue::all().next_capture_fails = true;
        CHECK_THROWS_WITH_AS(trainer.step(pairs.view()), doctest::Contains("record a step"), radapt::error);
      }
      out.push_back(trainer.step(pairs.view()).loss);
    }
    out.insert(out.end(), trainer.state().parameter_buffer().begin(), trainer.state().parameter_buffer().end());
    return out;
  };
  const std::vector<double> expected = run(9);
  CHECK(run(0) == expected);  // rounded weights, ids and offsets
  CHECK(run(1) == expected);
}
