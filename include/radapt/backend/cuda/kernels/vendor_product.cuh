#pragma once
/// Large f32 products through cuBLASLt, in f32 throughout (no TF32). A build without CUDA has only our own.
#ifndef RADAPT_CUDA_ON_HOST
#include <array>
#include <map>

#include "radapt/backend/cuda/kernels/matrix_product.cuh"

namespace radapt::detail::gpu {

inline void check_cublas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) { return; }
  fail({.what = std::string("cuBLASLt: ") + what,
        .expected = "success",
        .got = cublasLtGetStatusName(status),
        .hint = "Give the backend cuda{CudaProducts::own} to do without cuBLASLt"});
}

/// The products that cuBLASLt has been asked for, each with the algorithm that it chose.
class VendorProducts {
 public:
  VendorProducts() { check_cublas(cublasLtCreate(&handle_), "begin"); }
  VendorProducts(const VendorProducts&) = delete;
  VendorProducts& operator=(const VendorProducts&) = delete;
  ~VendorProducts() {
    for (auto& [key, plan] : plans_) {
      for (cublasLtMatrixLayout_t layout : {plan.a, plan.b, plan.c}) {
        if (layout != nullptr) { cublasLtMatrixLayoutDestroy(layout); }
      }
      if (plan.description != nullptr) { cublasLtMatmulDescDestroy(plan.description); }
    }
    cublasLtDestroy(handle_);
  }

  /// Whether a product is one of those: no rows left out, no factor that only the device knows, large, and aligned.
  static bool takes(const Product& p) {
    const auto aligned = [](const float* x, Index stride) {
      return reinterpret_cast<std::uintptr_t>(x) % alignment_bytes == 0 &&
             stride * sizeof(float) % alignment_bytes == 0;
    };
    constexpr double least_flops = 1e6;  // below, a launch of ours costs less than a call of theirs
    return p.kept.keeps_all() && p.scale == nullptr && p.log_scale == nullptr && aligned(p.bias, 0) &&
           aligned(p.a, p.a_stride) && aligned(p.b, p.b_stride) && aligned(p.c, p.c_stride) &&
           2.0 * static_cast<double>(p.rows) * static_cast<double>(p.columns) * static_cast<double>(p.inner) >=
               least_flops;
  }

  /// False when cuBLASLt knows no way.
  bool multiply(Call& call, const Product& p) {
    Plan& plan = plan_of(p);
    if (!plan.known) { return false; }
    if (p.bias != nullptr) {
      check_cublas(
          cublasLtMatmulDescSetAttribute(plan.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof(p.bias)),
          "set a bias");
    }
    const float alpha = static_cast<float>(p.factor), beta = p.accumulate ? 1.0F : 0.0F;
    // It reads matrices by columns: c^T = b^T a^T.
    const Workspace::Mark before = call.device().workspace().mark();
    check_cublas(
        cublasLtMatmul(handle_, plan.description, &alpha, p.b, plan.a, p.a, plan.b, &beta, p.c, plan.c, p.c, plan.c,
                       &plan.algorithm, call.workspace<char>(plan.workspace), plan.workspace, call.stream()),
        "multiply");
    call.device().workspace().release(before);
    return true;
  }

 private:
  static constexpr Index alignment_bytes = 16, most_workspace = Index{32} << 20;
  using Key = std::array<Index, 9>;
  struct Plan {
    bool known = false;
    cublasLtMatmulDesc_t description = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    Index workspace = 0;
  };

  Plan& plan_of(const Product& p) {
    const Key key{static_cast<Index>(p.form),
                  p.rows,
                  p.columns,
                  p.inner,
                  p.a_stride,
                  p.b_stride,
                  p.c_stride,
                  p.accumulate ? Index{1} : Index{0},
                  p.bias == nullptr ? Index{0} : Index{1}};
    const auto found = plans_.find(key);
    return found != plans_.end() ? found->second : make(plans_[key], p);
  }
  Plan& make(Plan& plan, const Product& p) {
    check_cublas(cublasLtMatmulDescCreate(&plan.description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
    const auto set = [&](cublasLtMatmulDescAttributes_t what, auto value) {
      check_cublas(cublasLtMatmulDescSetAttribute(plan.description, what, &value, sizeof(value)), "describe a product");
    };
    const bool b_turned = p.form == Form::b_transposed, a_turned = p.form == Form::a_transposed;
    set(CUBLASLT_MATMUL_DESC_TRANSA, b_turned ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, a_turned ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (p.bias != nullptr) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);  // the next product has another: what counts is that there is one
    }
    const auto layout = [](Index rows, Index columns, Index stride) {
      cublasLtMatrixLayout_t made = nullptr;
      check_cublas(cublasLtMatrixLayoutCreate(&made, CUDA_R_32F, rows, columns, static_cast<std::int64_t>(stride)),
                   "describe a matrix");
      return made;
    };
    plan.a = b_turned ? layout(p.inner, p.columns, p.b_stride) : layout(p.columns, p.inner, p.b_stride);
    plan.b = a_turned ? layout(p.rows, p.inner, p.a_stride) : layout(p.inner, p.rows, p.a_stride);
    plan.c = layout(p.columns, p.rows, p.c_stride);

    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublasLtMatmulPreferenceCreate(&preference), "choose an algorithm");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      check_cublas(cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof(value)),
                   "choose an algorithm");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
    for (const auto operand :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      prefer(operand, static_cast<std::uint32_t>(alignment_bytes));
    }
    cublasLtMatmulHeuristicResult_t result{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, plan.description, plan.a, plan.b, plan.c,
                                                                 plan.c, preference, 1, &result, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    plan.known = status == CUBLAS_STATUS_SUCCESS && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = result.algo;
    plan.workspace = result.workspaceSize;
    return plan;
  }

  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace radapt::detail::gpu
#endif
