#pragma once
/// Reference kernels of op/norm.hpp. Statistics are taken in two passes, in the statistic type.
#include <cmath>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::layer_norm_forward<T>& o) {
  using S = statistic_t<T>;
  const Index width = o.x.columns;
  for (Index r = 0; r < o.x.rows; ++r) {
    const T* x = o.x.data + r * width;
    T* y = o.y.data + r * width;
    S sum = 0, squares = 0;
    for (Index i = 0; i < width; ++i) { sum += x[i]; }
    const S mean = sum / static_cast<S>(width);
    for (Index i = 0; i < width; ++i) { squares += (x[i] - mean) * (x[i] - mean); }
    const S rstd = S{1} / std::sqrt(squares / static_cast<S>(width) + static_cast<S>(o.eps));
    for (Index i = 0; i < width; ++i) { y[i] = (x[i] - mean) * rstd * o.weight.data[i] + o.bias.data[i]; }
    if (o.mean) { o.mean.data[r] = mean; }
    if (o.rstd) { o.rstd.data[r] = rstd; }
  }
}

template <class T>
void launch(reference&, const op::layer_norm_backward_input<T>& o) {
  using S = statistic_t<T>;
  const Index width = o.x.columns;
  for (Index r = 0; r < o.x.rows; ++r) {
    const T* x = o.x.data + r * width;
    const T* dy = o.dy.data + r * width;
    T* dx = o.dx.data + r * width;
    const S mean = o.mean.data[r], rstd = o.rstd.data[r];
    S mean_g = 0, mean_gx = 0;
    for (Index i = 0; i < width; ++i) {
      const S g = dy[i] * o.weight.data[i];
      mean_g += g;
      mean_gx += g * (x[i] - mean) * rstd;
    }
    mean_g /= static_cast<S>(width);
    mean_gx /= static_cast<S>(width);
    for (Index i = 0; i < width; ++i) {
      const S g = dy[i] * o.weight.data[i];
      dx[i] = rstd * (g - mean_g - (x[i] - mean) * rstd * mean_gx);
    }
  }
}

template <class T>
void launch(reference&, const op::layer_norm_backward_weight<T>& o) {
  const Index width = o.x.columns;
  for (Index r = 0; r < o.x.rows; ++r) {
    const T* x = o.x.data + r * width;
    const T* dy = o.dy.data + r * width;
    for (Index i = 0; i < width; ++i) {
      o.dweight.data[i] += dy[i] * (x[i] - o.mean.data[r]) * o.rstd.data[r];
      o.dbias.data[i] += dy[i];
    }
  }
}

template <class T>
void launch(reference&, const op::l2_normalize_forward<T>& o) {
  using namespace detail::eigen;
  using S = statistic_t<T>;
  for (Index r = 0; r < o.x.rows; ++r) {
    const S norm = std::max(static_cast<S>(map(o.x).row(extent(r)).norm()), static_cast<S>(o.eps));
    map(o.y).row(extent(r)) = map(o.x).row(extent(r)) / norm;
    if (o.norm) { o.norm.data[r] = norm; }
  }
}

template <class T>
void launch(reference&, const op::l2_normalize_backward<T>& o) {
  using namespace detail::eigen;
  const auto dy = map(o.dy), y = map(o.y);
  for (Index r = 0; r < o.y.rows; ++r) {
    const auto i = extent(r);
    const bool constant = o.norm.data[r] <= static_cast<statistic_t<T>>(o.eps);
    const T along = constant ? T{0} : dy.row(i).dot(y.row(i));
    map(o.dx).row(i) = (dy.row(i) - y.row(i) * along) / o.norm.data[r];
  }
}

}  // namespace radapt
