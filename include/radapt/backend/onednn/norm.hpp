#pragma once
/// oneDNN backend's kernels of op/norm.hpp: own loops, a row at a time while it is in the first-level cache.
#include <cmath>

#include "radapt/backend/onednn/avx512/passes.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::layer_norm_forward<T>& o) {
  using namespace detail::cpu;
  if (run_on_avx512(o)) { return; }
  const Index width = o.x.columns;
  const float *const weight = o.weight.data, *const bias = o.bias.data;
  parallel_for(o.x.rows, width, [&](Index r) {
    const T* const x = o.x.data + r * width;
    T* const y = o.y.data + r * width;
    const float mean = sum(x, width) / static_cast<float>(width);
    float squares = 0;
    RADAPT_VECTOR_SUM(squares)
    for (Index i = 0; i < width; ++i) { squares += (load(x, i) - mean) * (load(x, i) - mean); }
    const float rstd = 1.0F / std::sqrt(squares / static_cast<float>(width) + static_cast<float>(o.eps));
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) { store(y, i, (load(x, i) - mean) * rstd * weight[i] + bias[i]); }
    if (o.mean) { o.mean.data[r] = mean; }
    if (o.rstd) { o.rstd.data[r] = rstd; }
  });
}

template <cpu_element T>
void launch(onednn&, const op::layer_norm_backward_input<T>& o) {
  using namespace detail::cpu;
  if (run_on_avx512(o)) { return; }
  const Index width = o.x.columns;
  const float* const weight = o.weight.data;
  parallel_for(o.x.rows, width, [&](Index r) {
    const T *const x = o.x.data + r * width, *const dy = o.dy.data + r * width;
    T* const dx = o.dx.data + r * width;
    const float mean = o.mean.data[r], rstd = o.rstd.data[r];
    float sum_g = 0, along = 0;  // both in one loop: each alone waits for its last addition
    RADAPT_VECTOR_SUM(sum_g, along)
    for (Index i = 0; i < width; ++i) {
      const float g = load(dy, i) * weight[i];
      sum_g += g;
      along += g * (load(x, i) - mean);
    }
    const float mean_g = sum_g / static_cast<float>(width);
    const float slope = along / static_cast<float>(width) * rstd * rstd;
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) {
      store(dx, i, rstd * (load(dy, i) * weight[i] - mean_g - (load(x, i) - mean) * slope));
    }
  });
}

template <cpu_element T>
void launch(onednn& device, const op::layer_norm_backward_weight<T>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  sum_rows<2>(device, o.x.rows, width, {o.dweight.data, o.dbias.data}, [&](Index r, const std::array<float*, 2>& sums) {
    const T *const x = o.x.data + r * width, *const dy = o.dy.data + r * width;
    float *const dweight = sums[0], *const dbias = sums[1];
    const float mean = o.mean.data[r], rstd = o.rstd.data[r];
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) {
      dweight[i] += load(dy, i) * ((load(x, i) - mean) * rstd);
      dbias[i] += load(dy, i);
    }
  });
}

template <cpu_element T>
void launch(onednn&, const op::l2_normalize_forward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  parallel_for(o.x.rows, width, [&](Index r) {
    const T* const x = o.x.data + r * width;
    T* const y = o.y.data + r * width;
    const float norm = std::max(std::sqrt(dot(x, x, width)), static_cast<float>(o.eps));
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) { store(y, i, load(x, i) / norm); }
    if (o.norm) { o.norm.data[r] = norm; }
  });
}

template <cpu_element T>
void launch(onednn&, const op::l2_normalize_backward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns;
  parallel_for(o.y.rows, width, [&](Index r) {
    const T *const dy = o.dy.data + r * width, *const y = o.y.data + r * width;
    T* const dx = o.dx.data + r * width;
    const float norm = o.norm.data[r];
    const float along = norm <= static_cast<float>(o.eps) ? 0.0F : dot(dy, y, width);
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) { store(dx, i, (load(dy, i) - load(y, i) * along) / norm); }
  });
}

}  // namespace radapt
