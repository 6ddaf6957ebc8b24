/// Every kernel of every backend at the sizes of ViT-B/32, B/16 and L/14: from the cases of tests/cases. A row is
/// operation/backend/size, such as `linear_forward/onednn/B_16 batch 32`; FLOP/s and B/s come from the case's count of
/// operations and of elements that must be read or written, in what the backend stores activations in.
///
///     bench_ops --benchmark_filter='attention.*/onednn'
///
/// RADAPT_BENCH_CUDA makes bench_kernels_cuda of it: the backends of a GPU, at batches of RADAPT_TIMED_BATCH.
#include <benchmark/benchmark.h>

#include <string>

#include "cases/all.hpp"
#include "cases/backends.hpp"

namespace {

using namespace radapt_test;

#ifdef RADAPT_BENCH_CUDA
using timed_backends = radapt::op::list<radapt::cuda, radapt::cuda_bf16>;
#else
using timed_backends = radapt::op::list<radapt::reference, radapt::onednn, radapt::onednn_bf16>;
#endif

/// What a backend stores activations in.
template <class Backend>
using Stored = radapt::activation_t<Backend, float>;

/// Launches between two clocks. A backend that returns at once is waited for once for many of them, so that the wait is
/// no part of the time of one.
template <class Backend>
inline constexpr int launches = radapt::has_own_memory<Backend> ? 20 : 1;

template <class C, class Backend>
void time_kernel(benchmark::State& state, const typename C::Size& size) {
  using T = Stored<Backend>;
  Blocks blocks = radapt::has_own_memory<Backend> ? Blocks::for_timing(radapt::memory_of<Backend>()) : Blocks();
  Memory<T> memory(blocks);
  const auto operation = C::template build<T>(memory, size);
  Backend& device = device_of<Backend>();
  const auto launch_and_wait = [&](int times) {
    for (int i = 0; i < times; ++i) { launch(device, operation); }
    if constexpr (requires { device.synchronize(); }) { device.synchronize(); }
  };
  // Primitives are made, workspaces grow and memory moves to the device before the clock starts.
  launch_and_wait(1);
  while (state.KeepRunningBatch(launches<Backend>)) {
    launch_and_wait(launches<Backend>);
    benchmark::ClobberMemory();
  }
  const Work work = C::work(size);
  const auto per_second = [&](double once) {
    return benchmark::Counter(once, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (work.flops > 0) { state.counters["FLOP/s"] = per_second(work.flops); }
  state.counters["B/s"] = per_second(work.elements * sizeof(T));
}

template <class C, class Backend>
void add_rows() {
  if constexpr (radapt::has_kernel<typename C::template operation<Stored<Backend>>, Backend>) {
    for (const auto& timed : C::timed()) {
      const std::string name = std::string(cases::name_of<C>) + "/" + Backend::name + "/" + timed.name;
      benchmark::RegisterBenchmark(
          name.c_str(), [size = timed.size](benchmark::State& state) { time_kernel<C, Backend>(state, size); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);  // several threads work: the time of one of them says little
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  cases::for_each_case(
      []<class C>() { for_each_backend<timed_backends>([]<class Backend>() { add_rows<C, Backend>(); }); });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) { return 2; }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
