/// Copies that run beside launches, on streams whose order events alone fix.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include "cuda/five_steps.hpp"
#include "radapt/backend/cuda/kernels/runtime.cuh"

namespace {

using radapt::Buffer;
using radapt::Index;
using radapt_test::FiveSteps;
using radapt_test::SmallPairs;
using radapt_test::on_host::Queue;

/// Copies as early, or as late, as events allow.
struct CopiesRun {
  explicit CopiesRun(bool early) { Queue::all().copies_run_early = early; }
  ~CopiesRun() { Queue::all().copies_run_early = false; }
};

void launch_add(radapt::cuda& device, float* y, const float* x, Index n) {
  launch(device, radapt::op::add<float>{.y = {y, 1, n}, .x = {x, 1, n}});
}

}  // namespace

TEST_CASE("cuda: a copy runs beside what is launched behind it, and not before what was launched in front") {
  const CopiesRun early(true);
  radapt::cuda device;
  radapt::cuda::InputCopy copy(device);
  Buffer<float> from(3, radapt::cuda::input_memory()), to(3, radapt::cuda::memory()), y(3, radapt::cuda::memory());
  std::fill(from.begin(), from.end(), 5.0F);
  launch_add(device, y.data(), to.data(), 3);  // of zeros
  copy.begin(to.data(), from.data(), 3 * sizeof(float));
  CHECK(to[0] == 0.0F);
  device.synchronize();
  CHECK(y[0] == 0.0F);
  CHECK(to[0] == 5.0F);

  std::fill(from.begin(), from.end(), 6.0F);
  copy.begin(to.data(), from.data(), 3 * sizeof(float));
  launch_add(device, y.data(), y.data(), 3);
  CHECK(to[0] == 6.0F);  // the launch has not run
}

TEST_CASE("cuda: an input queue without any other wait gives every launch its own input, however streams run") {
  for (const bool early : {false, true}) {
    CAPTURE(early);
    const CopiesRun copies(early);
    radapt::Context<radapt::cuda> context;
    radapt::InputQueue<radapt::cuda> queue(context, 4);
    constexpr Index inputs = 6;
    Buffer<float> sums(inputs * 4, radapt::cuda::memory());
    const auto send = [&](Index i) {
      const auto room = queue.room();
      std::fill(room.begin(), room.end(), static_cast<float>(i + 1));
      queue.send(4);
    };
    send(0);
    for (Index i = 0; i < inputs; ++i) {
      if (i + 1 < inputs) { send(i + 1); }
      launch_add(context.device, sums.data() + i * 4, queue.receive().data(), 4);
    }
    context.device.synchronize();
    for (Index i = 0; i < sums.size(); ++i) { CHECK(sums[i] == static_cast<float>(i / 4 + 1)); }
  }
}

TEST_CASE("cuda: steps on pixels of an input queue have the bits of steps on pixels as they lie, however streams run") {
  const auto plain = FiveSteps{}.run<SmallPairs::Recipe, radapt::cuda_bf16>();
  for (const bool early : {false, true}) {
    const CopiesRun copies(early);
    CHECK(FiveSteps{.queued = true}.run<SmallPairs::Recipe, radapt::cuda_bf16>() == plain);
    CHECK(FiveSteps{.made_ahead = true}.run<SmallPairs::Recipe, radapt::cuda_bf16>() == plain);
  }
}

TEST_CASE("cuda: backends of two GPUs each work on their own, whichever is current") {
  Queue& queue = Queue::all();
  {
    radapt::cuda first;
    queue.device = 1;
    radapt::Context<radapt::cuda> second;
    radapt::InputQueue<radapt::cuda> inputs(second, 3);
    queue.device = 0;
    Buffer<float> y(3, radapt::cuda::memory());
    std::fill(inputs.room().begin(), inputs.room().end(), 5.0F);
    inputs.send(3);
    launch_add(second.device, y.data(), inputs.receive().data(), 3);
    second.device.synchronize();
    launch_add(first, y.data(), y.data(), 3);
    first.synchronize();
    CHECK(y[2] == 10.0F);
    CHECK(queue.device == 0);
    queue.device = 1;
    launch_add(first, y.data(), y.data(), 3);
    std::vector<float> on_the_host(3);
    launch_add(first, on_the_host.data(), y.data(), 3);  // waits
    CHECK(on_the_host[0] == 20.0F);
    queue.device = 0;
  }
  CHECK(queue.device == 0);
}
