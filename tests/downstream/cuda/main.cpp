/// Adds two rows on a GPU, where there is one.
#include <cstdio>

#include <radapt/backend/cuda/all.hpp>
#include <radapt/backend/run.hpp>

int main() {
  const radapt::CudaAvailability gpu = radapt::cuda_availability();
  if (!gpu.available) {
    std::printf("no device: %s\n", gpu.reason.c_str());
    return 0;
  }
  radapt::Context<radapt::cuda> context;
  radapt::Buffer<float> x(5, radapt::memory_of<radapt::cuda>()), y(5, radapt::memory_of<radapt::cuda>());
  x[2] = 1;
  y[2] = 2;
  radapt::run(context, radapt::op::add<float>{.y = {y.data(), 1, y.size()}, .x = {x.data(), 1, x.size()}});
  radapt::finish(context);
  std::printf("device: %s\n", gpu.reason.c_str());
  return y[2] == 3 ? 0 : 1;
}
