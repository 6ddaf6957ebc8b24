/// Where the time of a training step and of an image tower goes, operation by operation.
///
///     bench_profile                     # the step of R-Adapter on ViT-B/32, 64 pairs
///     bench_profile step-B-16 32        # the same on ViT-B/16, 32 pairs
///     bench_profile image-B-32 32 bf16  # its image tower, in bf16
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/support/flops.hpp"
#include "bench/support/inputs.hpp"
#include "bench/support/roofline.hpp"
#include "bench/support/timed_backend.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace {

using namespace radapt_bench;
namespace arch = radapt::arch;
using Clock = std::chrono::steady_clock;

/// Prints what `repetitions` calls of `pass` took, the longest operations first.
template <class Device, class F>
void profile(timed<Device>& device, int repetitions, double flops, F&& pass) {
  pass();
  device.times.clear();
  const auto begin = Clock::now();
  for (int i = 0; i < repetitions; ++i) { pass(); }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count() / repetitions;
  std::vector<std::pair<std::string, OperationTime>> times{device.times.begin(), device.times.end()};
  std::sort(times.begin(), times.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::printf("%-52s %8s %10s %8s\n", "operation", "calls", "ms", "share");
  double inside = 0;
  for (const auto& [title, time] : times) {
    const double each = time.seconds / repetitions;
    inside += each;
    std::printf("%-52s %8ld %10.2f %7.1f%%\n", title.c_str(), time.calls / repetitions, 1e3 * each,
                100 * each / seconds);
  }
  std::printf("%-52s %8s %10.2f %7.1f%%\n", "outside of operations", "", 1e3 * (seconds - inside),
              100 * (1 - inside / seconds));
  std::printf("%.1f ms, %.1f GFLOP/s needed, %.1f %% of the roofline of this run (%.1f GFLOP/s)\n", 1e3 * seconds,
              flops / seconds / 1e9, 100 * flops / seconds / roofline(), roofline() / 1e9);
}

template <class Arch, class Device>
void step(Index batch) {
  using Recipe = radapt::recipe::r_adapter<Arch>;
  using Model = typename Recipe::trained;
  radapt::TrainOptions options;
  options.size.batch = batch;
  options.schedule.total = 1'000'000;
  radapt::Trainer<Recipe, timed<Device>> trainer(random_weights<Model>(), options);
  const auto pixels = random_pixels<Model>(batch);
  const auto captions = random_captions<Model>(batch, caption_lengths);
  std::vector<std::int32_t> groups(batch);
  for (Index i = 0; i < batch; ++i) { groups[i] = static_cast<std::int32_t>(i); }
  radapt::Phase phase;
  phase.training = true;
  phase.adapter_drop = options.adapter_drop;
  phase.seed = options.seed;
  constexpr int repetitions = 3;
  double flops = 0;
  for (phase.step = 1; phase.step <= repetitions; ++phase.step) {
    flops += step_flops<Model, typename Recipe::tune>(captions.sequences(), &phase) / repetitions;
  }
  profile(trainer.context().device, repetitions, flops,
          [&] { trainer.step({.pixels = pixels, .captions = &captions, .groups = groups}); });
}

template <class Arch, class Device>
void image(Index batch) {
  using Model = radapt::Clip<Arch>;
  radapt::Session<Model, timed<Device>> session(random_weights<Model>(),
                                                {.images = batch, .captions = 1, .constant_weights = true});
  const auto pixels = random_pixels<Model>(batch);
  std::vector<float> features(batch * Model::arch::embed);
  profile(session.context().device, 5, image_flops<Model>(batch), [&] { session.encode_images(pixels, features); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string work = argc > 1 ? argv[1] : "step-B-32";
  const long batch = argc > 2 ? std::atol(argv[2]) : 64;
  if (batch < 1 || batch > 4096) {
    std::fprintf(stderr, "radapt: batch: expected a number from 1 to 4096, got '%s'\n", argv[2]);
    return 2;
  }
  const auto size = static_cast<Index>(batch);
  const std::string precision = argc > 3 ? argv[3] : "f32";
  const auto run = [&]<class Device>() {
    if (work == "step-B-32") { return step<arch::ViT_B_32, Device>(size), true; }
    if (work == "step-B-16") { return step<arch::ViT_B_16, Device>(size), true; }
    if (work == "image-B-32") { return image<arch::ViT_B_32, Device>(size), true; }
    if (work == "image-B-16") { return image<arch::ViT_B_16, Device>(size), true; }
    if (work == "image-L-14") { return image<arch::ViT_L_14, Device>(size), true; }
    return false;
  };
  const bool known = precision == "f32"    ? run.operator()<radapt::onednn>()
                     : precision == "bf16" ? run.operator()<radapt::onednn_bf16>()
                                           : false;
  if (!known) {
    std::fprintf(
        stderr,
        "radapt: expected step-B-32, step-B-16, image-B-32, image-B-16 or image-L-14, a batch, and f32 or bf16; "
        "got '%s' and '%s'\n",
        work.c_str(), precision.c_str());
    return 2;
  }
  return 0;
}
