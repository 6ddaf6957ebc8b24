#pragma once
/// CPU kernels of op/norm.hpp: one row is one task, statistics in two passes.
#include <algorithm>
#include <cmath>

#include <Eigen/Core>

#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

namespace detail::cpu {
using Row = Eigen::Map<Eigen::ArrayXf>;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
inline Row row(Matrix<float> m, Index r) { return {m.data + r * m.columns, static_cast<Eigen::Index>(m.columns)}; }
inline ConstRow row(Matrix<const float> m, Index r) {
  return {m.data + r * m.columns, static_cast<Eigen::Index>(m.columns)};
}
inline ConstRow row(Vector<const float> v) { return {v.data, static_cast<Eigen::Index>(v.size)}; }
constexpr Index worthwhile_rows = 128;
}  // namespace detail::cpu

inline void launch(onednn&, const op::layer_norm_forward<float>& o) {
  using namespace detail::cpu;
  parallel_for(o.x.rows, worthwhile_rows, [&](Index r) {
    const ConstRow x = row(o.x, r);
    const float mean = x.mean();
    const float variance = (x - mean).square().mean();
    const float rstd = 1.0f / std::sqrt(variance + static_cast<float>(o.eps));
    row(o.y, r) = (x - mean) * rstd * row(o.weight) + row(o.bias);
    if (o.mean) { o.mean.data[r] = mean; }
    if (o.rstd) { o.rstd.data[r] = rstd; }
  });
}

inline void launch(onednn&, const op::layer_norm_backward_input<float>& o) {
  using namespace detail::cpu;
  parallel_for(o.x.rows, worthwhile_rows, [&](Index r) {
    const ConstRow x = row(o.x, r), dy = row(o.dy, r), weight = row(o.weight);
    const float mean = o.mean.data[r], rstd = o.rstd.data[r];
    const float mean_g = (dy * weight).mean();
    const float mean_gx = (dy * weight * (x - mean)).mean() * rstd;
    row(o.dx, r) = rstd * (dy * weight - mean_g - (x - mean) * (rstd * mean_gx));
  });
}

inline void launch(onednn&, const op::layer_norm_backward_weight<float>& o) {
  using namespace detail::cpu;
  constexpr Index chunk = 64;  // columns are dealt out, rows are added in order
  const Index width = o.x.columns;
  parallel_for((width + chunk - 1) / chunk, 4, [&](Index c) {
    const Index first = c * chunk, last = std::min(width, first + chunk);
    for (Index r = 0; r < o.x.rows; ++r) {
      const float* x = o.x.data + r * width;
      const float* dy = o.dy.data + r * width;
      const float mean = o.mean.data[r], rstd = o.rstd.data[r];
      for (Index i = first; i < last; ++i) {
        o.dweight.data[i] += dy[i] * (x[i] - mean) * rstd;
        o.dbias.data[i] += dy[i];
      }
    }
  });
}

inline void launch(onednn&, const op::l2_normalize_forward<float>& o) {
  using namespace detail::cpu;
  parallel_for(o.x.rows, worthwhile_rows, [&](Index r) {
    const float norm = std::max(row(o.x, r).matrix().norm(), static_cast<float>(o.eps));
    row(o.y, r) = row(o.x, r) / norm;
    if (o.norm) { o.norm.data[r] = norm; }
  });
}

inline void launch(onednn&, const op::l2_normalize_backward<float>& o) {
  using namespace detail::cpu;
  parallel_for(o.y.rows, worthwhile_rows, [&](Index r) {
    const ConstRow dy = row(o.dy, r), y = row(o.y, r);
    const float along = (dy * y).sum();
    row(o.dx, r) = (dy - y * along) / o.norm.data[r];
  });
}

}  // namespace radapt
