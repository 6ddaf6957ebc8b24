#pragma once
/// The CUDA backend as a host program sees it: no CUDA header is needed here. The kernels are in kernels/*.cuh,
/// compiled once into the target radapt::cuda, or by a .cu file of your own that includes backend/cuda/kernels.cuh.
#include <concepts>
#include <memory>
#include <string>

#include "radapt/core/memory.hpp"
#include "radapt/op/all.hpp"

namespace radapt {

namespace detail::gpu {
class Device;
struct DeleteDevice {
  void operator()(Device*) const;
};
class CopyBesideLaunches;
struct DeleteCopy {
  void operator()(CopyBesideLaunches*) const;
};
}  // namespace detail::gpu

/// Who multiplies large matrices in float on a GPU.
enum class CudaProducts {
  vendor,  ///< cuBLASLt, where it can; rows that are left out and small products are ours
  own,     ///< our kernels alone
};

/// How the launches of a training step reach the GPU.
enum class CudaSteps {
  launches,  ///< each at once
  graphs,    ///< together, as a CUDA graph that is made once and changed for each step; has never run on a GPU
};

/// Kernels on one NVIDIA GPU, in float; those that are neither products nor attention of all tokens run on bf16, too.
///
/// Launches return before their work is done and run in the order of the calls; `synchronize` waits for them, and every
/// entry point of the library that hands results to the host does so itself. Weights, the state of a run and features
/// lie in memory that the GPU and the host read at the same addresses; what kernels alone work on, such as activations,
/// lies in memory of the GPU. Operations may also be given ordinary host memory; it is copied for the call, and outputs
/// are waited for.
///
/// Equal calls give equal bits: no kernel adds in an order that depends on timing.
class cuda {
 public:
  static constexpr auto name = "cuda";

  /// On the GPU that is current in this thread; whichever is so later, in whichever thread, calls go to that one. Error:
  /// there is none, or one that the kernels do not run on.
  explicit cuda(CudaProducts products = CudaProducts::vendor, CudaSteps steps = CudaSteps::launches);
  /// What is launched from here to `synchronize` is a step, see CudaSteps.
  void begin_step();
  /// Waits until everything that was launched is done. Error: a kernel failed.
  void synchronize();
  /// Memory that the GPU and the host share.
  static const MemorySource& memory();
  /// Memory of the current GPU, which the host cannot read: for what kernels alone work on.
  static const MemorySource& device_memory();
  /// Memory of the host that the GPU reads where it lies: for what the host writes anew before every step, such as the
  /// pixels of a batch. A step has read it when it returns.
  static const MemorySource& input_memory();
  /// Bytes that the library holds on the GPU, by all backends of this process together.
  static Index memory_taken();

  /// A copy into memory of a `cuda` that runs beside what is launched, on a stream of its own: see InputQueue. It must
  /// not outlive the backend.
  class InputCopy {
   public:
    explicit InputCopy(cuda& backend);
    /// Begins when everything is done that was launched before, which may read what is in `to`. Returns at once. `from`
    /// is input memory and stays as it is until `finish`.
    void begin(void* to, const void* from, Index bytes);
    /// Everything that is launched from now on runs behind the copy.
    void precede_launches();
    /// Waits for the copy. Without `begin` there is nothing to wait for.
    void finish();

   private:
    std::unique_ptr<detail::gpu::CopyBesideLaunches, detail::gpu::DeleteCopy> copy_;
  };

  detail::gpu::Device& device() const { return *device_; }

 private:
  std::unique_ptr<detail::gpu::Device, detail::gpu::DeleteDevice> device_;
};

/// `cuda` in bfloat16, as `onednn_bf16` is on the CPU: what passes over float parameters store is bf16, and products
/// take bf16 factors, on the tensor cores. Sums, statistics, softmax and the arithmetic between what is stored are
/// float, and so are parameters, their gradients, losses and the update. Weights are rounded on their way into a
/// product, and so are the factors of products of floats.
///
/// Weights that were promised to be constant are rounded once, when they are first multiplied by: a copy in bf16 for
/// each of them, beside the weights. The bits of results are the same.
class cuda_bf16 : public cuda {
 public:
  using cuda::cuda;
  static constexpr auto name = "cuda_bf16";
  using activation = bf16;                      ///< what passes over float parameters store
  static constexpr bool rounds_factors = true;  ///< of products, to bf16

  /// Whether it is worth promising that weights stay: a matrix is rounded for every product, or once.
  static constexpr bool packs_weights() { return true; }
  /// Nothing writes to these `elements`, or gives their memory back, while this backend lives.
  void promise_constant(const float* begin, Index elements);
};

/// Whether a `cuda` can be made here; if not, why.
struct CudaAvailability {
  bool available = false;
  std::string reason;  ///< one sentence; the device's name where there is one
};
CudaAvailability cuda_availability();

/// What activations are made of on a GPU: kernels read and write either, and compute in float.
template <class T>
concept cuda_element = std::same_as<T, float> || std::same_as<T, bf16>;

/// On float and on bf16.
#define RADAPT_CUDA_OPERATIONS(F) RADAPT_PASS_OPERATIONS(F, )
/// On float alone: what products and attention of `cuda` are, and what parameters and losses need.
#define RADAPT_CUDA_FLOAT_OPERATIONS(F) \
  RADAPT_PRODUCT_OPERATIONS(F, ) RADAPT_ATTENTION_OPERATIONS(F, ) RADAPT_PARAMETER_OPERATIONS(F, )
/// On the tensor cores: products of either, and attention on bf16.
#define RADAPT_CUDA_BF16_PRODUCTS(F) RADAPT_PRODUCT_OPERATIONS(F, )
#define RADAPT_CUDA_BF16_ATTENTION(F) RADAPT_ATTENTION_OPERATIONS(F, )

#define RADAPT_CUDA_DECLARE(operation, ...) \
  template <cuda_element T>                 \
  void launch(cuda&, const op::operation<T>&);
RADAPT_CUDA_OPERATIONS(RADAPT_CUDA_DECLARE)
#undef RADAPT_CUDA_DECLARE

#define RADAPT_CUDA_DECLARE(operation, ...) \
  template <std::same_as<float> T>          \
  void launch(cuda&, const op::operation<T>&);
RADAPT_CUDA_FLOAT_OPERATIONS(RADAPT_CUDA_DECLARE)
#undef RADAPT_CUDA_DECLARE

#define RADAPT_CUDA_DECLARE(operation, ...) \
  template <cuda_element T>                 \
  void launch(cuda_bf16&, const op::operation<T>&);
RADAPT_CUDA_BF16_PRODUCTS(RADAPT_CUDA_DECLARE)
#undef RADAPT_CUDA_DECLARE

#define RADAPT_CUDA_DECLARE(operation, ...) \
  template <std::same_as<bf16> T>           \
  void launch(cuda_bf16&, const op::operation<T>&);
RADAPT_CUDA_BF16_ATTENTION(RADAPT_CUDA_DECLARE)
#undef RADAPT_CUDA_DECLARE

}  // namespace radapt
