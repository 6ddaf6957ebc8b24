#pragma once
/// The CPU backend: matrix products by oneDNN, everything else as loops over rows. f32 only.
///
/// Of oneDNN only `dnnl_sgemm` is used: it takes leading dimensions, alpha and beta, needs no primitive per shape
/// (captions and kept adapter rows change the number of rows every step), and is declared alike by oneDNN 2 and 3, so
/// one source serves both. On AVX2 it runs the same JIT kernel as the matmul primitive (within 5 % at 1600 x 768 x
/// 3072).
#include <oneapi/dnnl/dnnl.h>

#include <string>

#include "radapt/core/error.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/core/view.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace radapt {

/// State of the backend: memory that kernels work in. It grows to the largest need and then stays.
struct onednn {
  static constexpr auto name = "onednn";

  /// At least `elements` floats, valid until the next call.
  float* workspace(Index elements) {
    if (workspace_.size() < elements) { workspace_ = Buffer<float>(elements); }
    return workspace_.data();
  }

 private:
  Buffer<float> workspace_;
};

namespace detail::cpu {

/// Threads that a parallel loop may use. Builds without OpenMP (clang next to a GNU OpenMP oneDNN) run loops serially.
inline int threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}
inline int this_thread() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/// Calls f(i) for i in 0 .. count-1, in parallel when there are at least `worthwhile` of them. Every i is handled by
/// exactly one thread, so what f writes for its i does not depend on the number of threads.
template <class F>
void parallel_for(Index count, Index worthwhile, F&& f) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (count >= worthwhile)
#endif
  for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(count); ++i) { f(static_cast<Index>(i)); }
  (void)worthwhile;
}

enum class Transpose : bool { no, yes };

/// C = alpha op(A) op(B) + beta C on row-major matrices with leading dimensions; op(A) is (m, k), op(B) is (k, n).
inline void multiply(Transpose ta, Transpose tb, Index m, Index n, Index k, float alpha, const float* a, Index lda,
                     const float* b, Index ldb, float beta, float* c, Index ldc) {
  if (m == 0 || n == 0) { return; }
  const auto flag = [](Transpose t) { return t == Transpose::yes ? 'T' : 'N'; };
  const auto extent = [](Index x) { return static_cast<dnnl_dim_t>(x); };
  const dnnl_status_t status = dnnl_sgemm(flag(ta), flag(tb), extent(m), extent(n), extent(k), alpha, a, extent(lda), b,
                                          extent(ldb), beta, c, extent(ldc));
  if (status != dnnl_success) {
    fail({.what = "oneDNN: a matrix product of " + std::to_string(m) + " x " + std::to_string(k) + " x " +
                  std::to_string(n),
          .expected = "success",
          .got = "status " + std::to_string(static_cast<int>(status)),
          .hint = ""});
  }
}

}  // namespace detail::cpu
}  // namespace radapt
