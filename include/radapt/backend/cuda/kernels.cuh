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
#include "radapt/backend/cuda/kernels/pooled_attention.cuh"
#include "radapt/backend/cuda/kernels/update.cuh"

namespace radapt {

namespace detail::gpu {
void DeleteDevice::operator()(Device* device) const {
  if (device == nullptr) { return; }
  const OnDevice on_device(device->number());
  delete device;
}

/// The two points between which a copy runs, and the stream that it runs on.
class CopyBesideLaunches {
 public:
  explicit CopyBesideLaunches(Device& device)
      : device_(device), launched_(runtime::make_event()), copied_(runtime::make_event()) {}
  CopyBesideLaunches(const CopyBesideLaunches&) = delete;
  CopyBesideLaunches& operator=(const CopyBesideLaunches&) = delete;
  ~CopyBesideLaunches() {
    const OnDevice on_device(device_.number());
    runtime::destroy_event(launched_);
    runtime::destroy_event(copied_);
  }

  void begin(void* to, const void* from, Index bytes) {
    const OnDevice on_device(device_.number());
    device_.launches().submit();
    runtime::record(launched_, device_.stream());
    runtime::wait_for(device_.copies(), launched_);
    runtime::copy_input_to_device(to, from, bytes, device_.copies());
    runtime::record(copied_, device_.copies());
  }
  void precede_launches() {
    const OnDevice on_device(device_.number());
    device_.launches().submit();
    runtime::wait_for(device_.stream(), copied_);
  }
  void finish() { runtime::synchronize(copied_); }

 private:
  Device& device_;
  runtime::Event launched_, copied_;
};
void DeleteCopy::operator()(CopyBesideLaunches* copy) const { delete copy; }

/// Memory of the runtime that kernels can follow.
template <void* (*Take)(Index), void (*GiveBack)(void*), VisibleMemory::Place Where = VisibleMemory::Place::device>
inline constexpr MemorySource visible_memory{.take =
                                                 [](Index bytes) {
                                                   void* const memory = Take(padded(bytes));
                                                   VisibleMemory::all().add(memory, padded(bytes), Where);
                                                   return memory;
                                                 },
                                             .give_back =
                                                 [](void* memory) noexcept {
                                                   if (memory == nullptr) { return; }
                                                   VisibleMemory::all().remove(memory);
                                                   GiveBack(memory);
                                                 }};
inline constexpr const MemorySource& device_memory =
    visible_memory<runtime::take_cleared_device_memory, runtime::give_back_cleared_device_memory>;
inline constexpr const MemorySource& shared_memory =
    visible_memory<runtime::take_shared_memory, runtime::give_back_shared_memory>;
inline constexpr const MemorySource& input_memory =
    visible_memory<runtime::take_host_memory, runtime::give_back_host_memory, VisibleMemory::Place::host>;
}  // namespace detail::gpu

cuda::cuda(CudaProducts products, CudaSteps steps) : device_(new detail::gpu::Device(products, steps)) {
#ifndef RADAPT_CUDA_ON_HOST
  // Not in the middle of a recording.
  if (steps == CudaSteps::graphs && products == CudaProducts::vendor) {
    device_->vendor<detail::gpu::VendorProducts>();
  }
#endif
}
void cuda::begin_step() {
  const detail::gpu::OnDevice on_device(device_->number());
  device_->launches().begin_step();
}
void cuda::synchronize() {
  const detail::gpu::OnDevice on_device(device_->number());
  device_->launches().finish();
}
cuda::InputCopy::InputCopy(cuda& backend) : copy_(new detail::gpu::CopyBesideLaunches(backend.device())) {}
void cuda::InputCopy::begin(void* to, const void* from, Index bytes) { copy_->begin(to, from, bytes); }
void cuda::InputCopy::precede_launches() { copy_->precede_launches(); }
void cuda::InputCopy::finish() { copy_->finish(); }
void cuda_bf16::promise_constant(const float* begin, Index elements) {
  device().rounded_weights().promise_constant(begin, elements);
}
const MemorySource& cuda::memory() { return detail::gpu::shared_memory; }
const MemorySource& cuda::device_memory() { return detail::gpu::device_memory; }
const MemorySource& cuda::input_memory() { return detail::gpu::input_memory; }
Index cuda::memory_taken() { return detail::gpu::VisibleMemory::all().bytes(); }

CudaAvailability cuda_availability() {
  try {
    return {true, detail::gpu::runtime::device_name()};
  } catch (const error& e) { return {false, e.what()}; }
}

}  // namespace radapt
