#pragma once
/// All CUDA kernels, and the backend's own functions. For one .cu file of a program, as kernels.cu is.
#include "radapt/backend/cuda/kernels/activation.cuh"
#include "radapt/backend/cuda/kernels/attention.cuh"
#include "radapt/backend/cuda/kernels/attention_bf16.cuh"
#include "radapt/backend/cuda/kernels/elementwise.cuh"
#include "radapt/backend/cuda/kernels/embed.cuh"
#include "radapt/backend/cuda/kernels/linear.cuh"
#include "radapt/backend/cuda/kernels/loss.cuh"
#include "radapt/backend/cuda/kernels/neighbours.cuh"
#include "radapt/backend/cuda/kernels/norm.cuh"
#include "radapt/backend/cuda/kernels/update.cuh"

namespace radapt {

namespace detail::gpu {
void DeleteDevice::operator()(Device* device) const { delete device; }

inline constexpr MemorySource shared_memory{.take =
                                                [](Index bytes) {
                                                  void* const memory = runtime::take_shared_memory(padded(bytes));
                                                  VisibleMemory::all().add(memory, padded(bytes));
                                                  return memory;
                                                },
                                            .give_back =
                                                [](void* memory) noexcept {
                                                  if (memory == nullptr) { return; }
                                                  VisibleMemory::all().remove(memory);
                                                  runtime::give_back_shared_memory(memory);
                                                }};
inline constexpr MemorySource input_memory{.take =
                                               [](Index bytes) {
                                                 void* const memory = runtime::take_host_memory(padded(bytes));
                                                 VisibleMemory::all().add(memory, padded(bytes),
                                                                          VisibleMemory::Place::host);
                                                 return memory;
                                               },
                                           .give_back =
                                               [](void* memory) noexcept {
                                                 if (memory == nullptr) { return; }
                                                 VisibleMemory::all().remove(memory);
                                                 runtime::give_back_host_memory(memory);
                                               }};
}  // namespace detail::gpu

cuda::cuda(CudaProducts products) : device_(new detail::gpu::Device(products)) {}
void cuda::synchronize() { detail::gpu::runtime::synchronize(device_->stream()); }
const MemorySource& cuda::memory() { return detail::gpu::shared_memory; }
const MemorySource& cuda::input_memory() { return detail::gpu::input_memory; }
Index cuda::memory_taken() { return detail::gpu::VisibleMemory::all().bytes(); }

CudaAvailability cuda_availability() {
  try {
    return {true, detail::gpu::runtime::device_name()};
  } catch (const error& e) { return {false, e.what()}; }
}

}  // namespace radapt
