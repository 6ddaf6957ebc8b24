#pragma once
/// The backend for the precision that a row asks for: of the CPU, or of the GPU in bench_worker_cuda.
#include <string_view>
#include <type_traits>

#include "bench/worker/work.hpp"
#ifdef RADAPT_BENCH_CUDA
#include "radapt/backend/cuda/all.hpp"
#else
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#endif

namespace radapt_bench {

#ifdef RADAPT_BENCH_CUDA
using InFloat = radapt::cuda;
using InBf16 = radapt::cuda_bf16;
inline bool multiplies_bf16() { return true; }
#else
using InFloat = radapt::onednn;
using InBf16 = radapt::onednn_bf16;
inline bool multiplies_bf16() { return radapt::onednn_bf16::multiplies_bf16(); }
#endif

/// Works that run in bf16, too.
inline bool knows_bf16(std::string_view work) {
  return work == "image" || work == "merged" || work == "text" || work == "zero_shot_head" || work == "train_step";
}

/// Calls f(std::type_identity<Backend>{}).
template <class F>
auto with_backend(const Request& request, F&& f) {
  if (request.precision == "bf16") { return f(std::type_identity<InBf16>{}); }
  return f(std::type_identity<InFloat>{});
}

}  // namespace radapt_bench
