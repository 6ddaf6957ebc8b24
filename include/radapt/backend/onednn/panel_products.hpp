#pragma once
/// Products of floats with constant weights by kernels of our own (avx512/float_panels.hpp), where the processor has
/// AVX-512. Panels are made once: made anew for one product of thousands of rows they take what is won over dnnl_sgemm.
#include "radapt/backend/onednn/avx512/float_panels.hpp"
#include "radapt/backend/onednn/engine.hpp"
#ifndef RADAPT_HAS_AVX512
#include <optional>
#endif

namespace radapt::detail::cpu {

/// A right factor (inner, columns) as panels; of no data where there are none.
struct Panels {
  const float* data = nullptr;
  Index inner = 0, columns = 0;
};

#ifdef RADAPT_HAS_AVX512

using PanelResult = avx512::Result<float>;

/// The panels of a row-major weight (inner, columns), or (columns, inner) if it is `turned`, if it is constant.
inline Panels panels_of(onednn& device, const float* weight, Index inner, Index columns, bool turned) {
  if (inner == 0 || columns == 0 || !avx512::available<float>() || !device.constant().covers(weight)) { return {}; }
  const auto take = [&](float* to) { avx512::FloatPanels::take(to, weight, inner, columns, turned); };
  const Index elements = avx512::FloatPanels::elements(inner, columns);
  return {device.packed().get(weight, inner, columns, turned, elements, device.constant(), take), inner, columns};
}

/// The product of x, `rows` of it, with a right factor. False: there are no panels, and nothing was done.
inline bool multiply(onednn& device, const PanelResult& result, const float* x, Index rows, const Panels& right) {
  if (right.data == nullptr) { return false; }
  if (rows == 0) { return true; }
  const Index threads = thread_count();
  const avx512::PanelProduct product(rows, right.inner, right.columns, threads);
  product.run(result, x, right.data, device.product_room(product.room() * threads));
  return true;
}

#else

/// As avx512::Result has it.
struct PanelResult {
  float* y;
  Index stride;
  const float *bias = nullptr, *residual = nullptr;
  std::optional<Activation> activation{};
  float* h = nullptr;
};
inline Panels panels_of(onednn&, const float*, Index, Index, bool) { return {}; }
inline bool multiply(onednn&, const PanelResult&, const float*, Index, const Panels&) { return false; }

#endif

}  // namespace radapt::detail::cpu
