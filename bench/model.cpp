/// Whole models on the CPU backend: both towers, the zero-shot head, a training step of R-Adapter; and the matrix
/// products that their rates are shares of.
///
///     bench_model                              # small batches, for two cores
///     bench_model --batch=32,256               # other batches
///     bench_model --benchmark_filter=image     # some of them
///
/// Columns: `items/s` images, captions, prompts or pairs; `FLOP/s` what the model needs (support/flops.hpp);
/// `of_roofline` their share of the best matrix product of this run; `planned` the bytes of activations and scratch,
/// known before the run.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bench/support/flops.hpp"
#include "bench/support/inputs.hpp"
#include "bench/support/roofline.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace {

using namespace radapt_bench;
using benchmark::Counter;
using benchmark::State;
namespace arch = radapt::arch;

/// Times the iterations of a benchmark, from its own making to `stop`, and tells their rates.
class Rates {
 public:
  explicit Rates(State& state) : state_(state), begin_(Clock::now()) {}
  void stop() { end_ = Clock::now(); }
  /// All iterations needed `flops` and made `items`; `planned` is in bytes.
  void tell(double flops, Index items, Index planned) {
    const double seconds = std::chrono::duration<double>(end_ - begin_).count();
    state_.SetItemsProcessed(static_cast<std::int64_t>(items));
    state_.counters["FLOP/s"] = flops / seconds;
    state_.counters["of_roofline"] = flops / seconds / roofline();
    if (planned > 0) { state_.counters["planned"] = Counter(number(planned), Counter::kDefaults, Counter::kIs1024); }
  }
  /// Stops, and tells the same where every iteration needed and made as much.
  void tell_each(double flops, Index items, Index planned) {
    stop();
    tell(static_cast<double>(state_.iterations()) * flops, static_cast<Index>(state_.iterations()) * items, planned);
  }

 private:
  using Clock = std::chrono::steady_clock;
  State& state_;
  Clock::time_point begin_, end_;
};

void product(State& state, ProductSize size) {
  Product<> product(size.rows, size.in, size.out);
  product();
  Rates rates(state);
  for (auto _ : state) { product(); }
  rates.tell_each(product.flops(), 1, 0);
}

template <class Model>
void image_tower(State& state, Index batch) {
  radapt::Session<Model, radapt::onednn> session(random_weights<Model>(), {.images = batch, .captions = 1});
  const auto pixels = random_pixels<Model>(batch);
  std::vector<float> features(batch * Model::arch::embed);
  session.encode_images(pixels, features);
  Rates rates(state);
  for (auto _ : state) { session.encode_images(pixels, features); }
  rates.tell_each(image_flops<Model>(batch), batch, session.context().arena.capacity());
}

template <class Model, class Lengths>
void text_tower(State& state, Index batch, const Lengths& lengths) {
  radapt::Session<Model, radapt::onednn> session(random_weights<Model>(), {.images = 1, .captions = batch});
  const auto captions = random_captions<Model>(batch, lengths);
  std::vector<float> features(batch * Model::arch::embed);
  session.encode_texts(captions, features);
  Rates rates(state);
  for (auto _ : state) { session.encode_texts(captions, features); }
  rates.tell_each(text_flops<Model>(captions.sequences()), batch, session.context().arena.capacity());
}

template <class Model>
void zero_shot_head(State& state, Index classes) {
  radapt::Session<Model, radapt::onednn> session(random_weights<Model>(), {.images = 1});
  const auto prompts = random_captions<Model>(classes, prompt_lengths);
  const std::vector<Index> per_class(classes, 1);
  radapt::zero_shot_weights(session, prompts, per_class);
  Rates rates(state);
  for (auto _ : state) { benchmark::DoNotOptimize(radapt::zero_shot_weights(session, prompts, per_class).data()); }
  rates.tell_each(text_flops<Model>(prompts.sequences()), classes, session.context().arena.capacity());
}

/// A step of the published recipe: adapters dropped with probability 0.2, moving average, MPM-NCE. The operations of
/// every step are counted from the draws that it made.
template <class Arch>
void training_step(State& state, Index batch) {
  using Recipe = radapt::recipe::r_adapter<Arch>;
  using Model = typename Recipe::trained;
  radapt::TrainOptions options;
  options.size.batch = batch;
  options.schedule.total = 1'000'000;
  const auto& weights = random_weights<Model>();
  radapt::Trainer<Recipe, radapt::onednn> trainer(weights, options);
  const auto pixels = random_pixels<Model>(batch);
  const auto captions = random_captions<Model>(batch, caption_lengths);
  std::vector<std::int32_t> groups(batch);
  for (Index i = 0; i < batch; ++i) { groups[i] = static_cast<std::int32_t>(i); }

  const auto step = [&] { trainer.step({.pixels = pixels, .captions = &captions, .groups = groups}); };
  step();
  radapt::Phase phase;
  phase.training = true;
  phase.adapter_drop = options.adapter_drop;
  phase.seed = options.seed;
  phase.step = trainer.steps();
  Rates rates(state);
  for (auto _ : state) { step(); }
  rates.stop();
  double flops = 0;
  for (; phase.step < trainer.steps(); ++phase.step) {
    flops += step_flops<Model, typename Recipe::tune>(captions.sequences(), &phase);
  }
  const auto memory = radapt::Trainer<Recipe, radapt::onednn>::memory(weights, options);
  rates.tell(flops, static_cast<Index>(state.iterations()) * batch,
             memory.activations + memory.scratch - memory.shared + memory.features);
}

/// Batches to run: those of the command line, or the defaults.
struct Batches {
  std::vector<Index> given;
  std::vector<Index> or_else(std::vector<Index> defaults) const { return given.empty() ? defaults : given; }
};

template <class F>
void add(const std::string& name, F&& run) {
  benchmark::RegisterBenchmark(name.c_str(), std::forward<F>(run))
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}
template <class F>
void add(const std::string& name, const std::vector<Index>& batches, F&& run) {
  for (const Index batch : batches) {
    add(name + "/batch:" + std::to_string(batch), [run, batch](State& state) { run(state, batch); });
  }
}

/// Benchmarks of one model follow each other, so that its weights are drawn once.
void add_all(const Batches& batches) {
  for (const ProductSize size : roofline_sizes) {
    add("roofline/" + Product<>(size.rows, size.in, size.out).title(), [size](State& state) { product(state, size); });
  }
  using B_32 = radapt::Clip<arch::ViT_B_32>;
  add("image/ViT-B-32", batches.or_else({1, 8}), image_tower<B_32>);
  add("text/ViT-B/77 tokens", batches.or_else({8}),
      [](State& state, Index batch) { text_tower<B_32>(state, batch, whole_context); });
  add("text/ViT-B/caption lengths", batches.or_else({32}),
      [](State& state, Index batch) { text_tower<B_32>(state, batch, caption_lengths); });
  add("zero_shot_head/ViT-B/classes:100", [](State& state) { zero_shot_head<B_32>(state, 100); });
  add("step/ViT-B-32", batches.or_else({8}), training_step<arch::ViT_B_32>);
  add("image/ViT-B-16", batches.or_else({1, 4}), image_tower<radapt::Clip<arch::ViT_B_16>>);
  add("step/ViT-B-16", batches.or_else({4}), training_step<arch::ViT_B_16>);
}

/// Takes `--batch=N,N...` out of the arguments; everything else is Google Benchmark's. False when it is no list of
/// batches.
bool take_batches(int& argc, char** argv, Batches& batches) {
  constexpr std::string_view option = "--batch=";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with(option)) {
      argv[kept++] = argv[i];
      continue;
    }
    for (const char* text = argv[i] + option.size();; ++text) {
      char* end = nullptr;
      const unsigned long batch = std::strtoul(text, &end, 10);
      if (end == text || *text == '-' || batch == 0 || batch > 65536) { return false; }
      batches.given.push_back(batch);
      text = end;
      if (*text == '\0') { break; }
      if (*text != ',') { return false; }
    }
  }
  argc = kept;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Batches batches;
  if (!take_batches(argc, argv, batches)) {
    std::fprintf(stderr, "radapt: --batch: expected numbers from 1 to 65536 with commas between them\n");
    return 2;
  }
  add_all(batches);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) { return 2; }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
