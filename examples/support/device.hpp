#pragma once
/// Where a program runs its models: the option --device, and the backend that it names.
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/core/error.hpp"
#ifdef RADAPT_EXAMPLES_WITH_CUDA
#include "radapt/backend/cuda/all.hpp"
#endif

namespace example {

/// Adds --device: cpu, cuda, or cuda_bf16.
inline void add_device_option(CLI::App& app, std::string& device) {
  device = "cpu";
  app.add_option("--device", device, "cpu; cuda: an NVIDIA GPU; cuda_bf16: the same in bf16")
      ->check(CLI::IsMember({"cpu", "cuda", "cuda_bf16"}));
}

/// Calls f.template operator()<Backend>() for the device. Error: a GPU that is not there, or not built for.
template <class F>
decltype(auto) on_device(const std::string& device, F&& f) {
  if (device == "cpu") { return f.template operator()<radapt::onednn>(); }
#ifdef RADAPT_EXAMPLES_WITH_CUDA
  const radapt::CudaAvailability gpu = radapt::cuda_availability();
  if (!gpu.available) {
    radapt::fail({.what = "--device " + device,
                  .expected = "an NVIDIA GPU",
                  .got = "none that can be used",
                  .hint = "Leave the option out to run on the CPU. " + gpu.reason});
  }
  fmt::print("device: {}\n", gpu.reason);
  if (device == "cuda_bf16") { return f.template operator()<radapt::cuda_bf16>(); }
  return f.template operator()<radapt::cuda>();
#else
  radapt::fail({.what = "--device " + device,
                .expected = "a build with CUDA",
                .got = "one without",
                .hint = "Configure with -D RADAPT_WITH_CUDA=ON -D RADAPT_EXAMPLES_WITH_CUDA=ON, which needs nvcc"});
#endif
}

}  // namespace example
