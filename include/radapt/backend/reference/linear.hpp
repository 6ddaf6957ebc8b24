#pragma once
/// Reference kernels of op/linear.hpp.
#include "radapt/backend/reference/activation.hpp"
#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::linear_forward<T>& o) {
  using namespace detail::eigen;
  op::for_each_kept_run(o.kept, o.y.rows, [&](Index begin, Index end) {
    const auto rows = extent(end - begin);
    auto y = map(o.y).middleRows(extent(begin), rows);
    y.noalias() = map(o.x).middleRows(extent(begin), rows) * map(o.weight).transpose();
    if (o.bias) { y.rowwise() += map(o.bias); }
  });
}

template <class T>
void launch(reference& device, const op::linear_activation_forward<T>& o) {
  const Matrix<T> h = o.h.data == nullptr ? o.y : o.h;
  launch(device, op::linear_forward<T>{.y = h, .x = o.x, .weight = o.weight, .bias = o.bias});
  launch(device, op::activation_forward<T>{.y = o.y, .x = h, .kind = o.kind});
}

template <class T>
void launch(reference& device, const op::linear_residual_forward<T>& o) {
  using namespace detail::eigen;
  launch(device, op::linear_forward<T>{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias});
  map(o.y) += map(o.residual);
}

template <class T>
void launch(reference&, const op::linear_backward_input<T>& o) {
  using namespace detail::eigen;
  op::for_each_kept_run(o.kept, o.dx.rows, [&](Index begin, Index end) {
    const auto rows = extent(end - begin);
    map(o.dx).middleRows(extent(begin), rows).noalias() = map(o.dy).middleRows(extent(begin), rows) * map(o.weight);
  });
}

template <class T>
void launch(reference&, const op::linear_backward_weight<T>& o) {
  using namespace detail::eigen;
  const T coefficient = static_cast<T>(o.factor) * (o.scale == nullptr ? T{1} : *o.scale);
  op::for_each_kept_run(o.kept, o.x.rows, [&](Index begin, Index end) {
    const auto rows = extent(end - begin);
    map(o.dw).noalias() += coefficient * (map(o.dy).middleRows(extent(begin), rows).transpose() *
                                          map(o.x).middleRows(extent(begin), rows));
  });
}

template <class T>
void launch(reference&, const op::linear_backward_bias<T>& o) {
  using namespace detail::eigen;
  op::for_each_kept_run(o.kept, o.dy.rows, [&](Index begin, Index end) {
    map(o.db) += map(o.dy).middleRows(extent(begin), extent(end - begin)).colwise().sum();
  });
}

}  // namespace radapt
