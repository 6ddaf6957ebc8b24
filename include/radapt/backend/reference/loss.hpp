#pragma once
/// Reference kernels of op/loss.hpp.
#include <algorithm>
#include <cmath>
#include <limits>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/loss.hpp"

namespace radapt {

namespace detail {
/// log of the sum of exponentials, without overflow for any finite input.
template <class Row>
auto log_sum_exp(const Row& row) {
  const auto most = row.maxCoeff();
  return most + std::log((row.array() - most).exp().sum());
}
}  // namespace detail

template <class T>
void launch(reference&, const op::contrastive_loss<T>& o) {
  using namespace detail::eigen;
  const Index batch = o.image.rows;
  const T scale = o.log_scale == nullptr ? static_cast<T>(o.scale) : std::exp(*o.log_scale);
  const auto same = [&](Index i, Index j) { return o.labels[i] == o.labels[j]; };
  const auto target = [&](Index i, Index j) { return same(i, j) ? o.positive.data[i] : o.negative.data[i]; };

  auto z = map(o.logits);
  z.noalias() = map(o.image) * map(o.text).transpose();
  for (Index i = 0; i < batch; ++i) {
    for (Index j = 0; j < batch; ++j) {
      z(extent(i), extent(j)) = scale * (z(extent(i), extent(j)) + (same(i, j) ? T{0} : static_cast<T>(o.margin)));
    }
  }
  for (Index i = 0; i < batch; ++i) {
    o.log_sums.data[i] = detail::log_sum_exp(z.row(extent(i)));
    o.log_sums.data[batch + i] = detail::log_sum_exp(z.col(extent(i)));
  }

  // The targets of a row and of a column sum to one, so sum t log softmax = sum t z - log sum.
  double loss = 0, dlog_scale = 0;
  const T share = T{1} / static_cast<T>(2 * batch);
  for (Index i = 0; i < batch; ++i) {
    for (Index j = 0; j < batch; ++j) {
      T& entry = z(extent(i), extent(j));
      const T row = entry - o.log_sums.data[i], column = entry - o.log_sums.data[batch + j];
      loss -= static_cast<double>(target(i, j) * row + target(j, i) * column);
      const T gradient = share * (std::exp(row) - target(i, j) + std::exp(column) - target(j, i));
      dlog_scale += static_cast<double>(gradient * entry);
      entry = gradient;
    }
  }
  *o.loss = loss / static_cast<double>(2 * batch);
  if (o.dimage.data != nullptr) { map(o.dimage).noalias() = scale * (z * map(o.text)); }
  if (o.dtext.data != nullptr) { map(o.dtext).noalias() = scale * (z.transpose() * map(o.image)); }
  if (o.dlog_scale != nullptr) { *o.dlog_scale += static_cast<T>(dlog_scale); }
}

template <class T>
void launch(reference&, const op::cross_entropy<T>& o) {
  using namespace detail::eigen;
  const Index batch = o.logits.rows, classes = o.logits.columns;
  const T spread = static_cast<T>(o.smoothing) / static_cast<T>(classes);
  const T share = static_cast<T>(o.gradient_scale) / static_cast<T>(batch);
  double loss = 0;
  for (Index i = 0; i < batch; ++i) {
    detail::eigen::RowMajor<T> z = map(o.logits).row(extent(i));
    if (o.margins.data != nullptr) { z += map(o.margins).row(o.labels[i]); }
    const T log_sum = detail::log_sum_exp(z);
    for (Index c = 0; c < classes; ++c) {
      const T target = spread + (static_cast<Index>(o.labels[i]) == c ? static_cast<T>(1.0 - o.smoothing) : T{0});
      const T log_p = z(0, extent(c)) - log_sum;
      loss -= static_cast<double>(target * log_p);
      if (o.dlogits.data != nullptr) { o.dlogits.data[i * classes + c] = share * (std::exp(log_p) - target); }
    }
  }
  *o.loss = loss / static_cast<double>(batch);
}

template <class T>
void launch(reference&, const op::distillation<T>& o) {
  const Index batch = o.student.rows, columns = o.student.columns;
  const T share = static_cast<T>(o.weight) / static_cast<T>(batch);
  const auto masked = [&](Index i, Index j) { return o.labels != nullptr && o.labels[i] == o.labels[j]; };
  const auto log_sum = [&](const T* row, Index i) {
    T most = -std::numeric_limits<T>::infinity(), sum = 0;
    for (Index j = 0; j < columns; ++j) { most = masked(i, j) ? most : std::max(most, row[j]); }
    for (Index j = 0; j < columns; ++j) { sum += masked(i, j) ? T{0} : std::exp(row[j] - most); }
    return most + std::log(sum);
  };
  double loss = 0;
  for (Index i = 0; i < batch; ++i) {
    T* const student = o.student.data + i * columns;
    const T* const teacher = o.teacher.data + i * columns;
    const T student_sum = log_sum(student, i), teacher_sum = log_sum(teacher, i);
    for (Index j = 0; j < columns; ++j) {
      T gradient = 0;
      if (!masked(i, j)) {
        const T log_p = student[j] - student_sum, log_t = teacher[j] - teacher_sum, t = std::exp(log_t);
        if (t > 0) { loss += static_cast<double>(t * ((o.minus_entropy ? log_t : T{0}) - log_p)); }
        gradient = share * (std::exp(log_p) - t);
      }
      student[j] = gradient;
    }
  }
  *o.loss += o.weight * loss / static_cast<double>(batch);
}

}  // namespace radapt
