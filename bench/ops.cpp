/// Every kernel of every backend, in float, at the sizes of ViT-B/32, B/16 and L/14: from the cases of tests/cases.
/// A row is operation/backend/size, such as `linear_forward/onednn/B_16 batch 32`; FLOP/s and B/s come from the case's
/// count of operations and of elements that must be read or written.
///
///     bench_ops --benchmark_filter='attention.*/onednn'
#include <benchmark/benchmark.h>

#include <string>

#include "cases/all.hpp"
#include "cases/backends.hpp"

namespace {

using namespace radapt_test;

template <class C, class Backend>
void time_kernel(benchmark::State& state, const typename C::Size& size) {
  Blocks blocks;
  Memory<float> memory(blocks);
  const auto operation = C::template build<float>(memory, size);
  Backend& device = device_of<Backend>();
  launch(device, operation);  // primitives are made and workspaces grow before the clock starts
  for ([[maybe_unused]] auto _ : state) {
    launch(device, operation);
    benchmark::ClobberMemory();
  }
  const Work work = C::work(size);
  const auto per_second = [&](double once) {
    return benchmark::Counter(once, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (work.flops > 0) { state.counters["FLOP/s"] = per_second(work.flops); }
  state.counters["B/s"] = per_second(work.elements * sizeof(float));
}

template <class C, class Backend>
void add_rows() {
  if constexpr (radapt::has_kernel<typename C::template operation<float>, Backend>) {
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
  cases::for_each_case([]<class C>() { for_each_backend<host_backends>([]<class Backend>() { add_rows<C, Backend>(); }); });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) { return 2; }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
