#pragma once
/// oneDNN kernels of op/loss.hpp. Sums over the batch are taken in double, in the order of its rows.
#include <cmath>
#include <limits>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/loss.hpp"

namespace radapt {

namespace detail::cpu {

/// Floats that are kept on the stack at a time.
inline constexpr Index strip_floats = 256;

/// log of the sum of exponentials of a row, without overflow for any finite input.
inline float row_log_sum(const float* row, Index n) {
  const float most = largest(row, n);
  float total = 0;
  for (Index begin = 0; begin < n; begin += strip_floats) {
    std::array<float, strip_floats> strip;
    const Index size = std::min(strip_floats, n - begin);
    exp_of_difference(strip.data(), row + begin, most, size);
    total += sum(strip.data(), size);
  }
  return most + std::log(total);
}

/// The same for all columns of z (rows, columns), a strip of columns per task.
inline void column_log_sums(float* into, Matrix<const float> z) {
  constexpr Index strip = 64;
  parallel_for(block_count(z.columns, strip), z.rows * strip, [&](Index task) {
    const Index begin = task * strip, n = std::min(strip, z.columns - begin);
    std::array<float, strip> most, total{}, exponentials;
    std::copy_n(z.data + begin, n, most.begin());
    for (Index i = 1; i < z.rows; ++i) {
      const float* const row = z.data + i * z.columns + begin;
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < n; ++j) { most[j] = row[j] > most[j] ? row[j] : most[j]; }
    }
    for (Index i = 0; i < z.rows; ++i) {
      const float* const row = z.data + i * z.columns + begin;
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < n; ++j) { exponentials[j] = row[j] - most[j]; }
      exp_of_difference(exponentials.data(), exponentials.data(), 0.0F, n);
      add_to(total.data(), exponentials.data(), n);
    }
    for (Index j = 0; j < n; ++j) { into[begin + j] = most[j] + std::log(total[j]); }
  });
}

}  // namespace detail::cpu

inline void launch(onednn& device, const op::contrastive_loss<float>& o) {
  using namespace detail::cpu;
  const Index batch = o.image.rows, width = o.image.columns;
  const float scale = o.log_scale == nullptr ? static_cast<float>(o.scale) : std::exp(*o.log_scale);
  const auto margin = static_cast<float>(o.margin);
  float* const z = o.logits.data;
  float* const row_sums = o.log_sums.data;
  float* const column_sums = o.log_sums.data + batch;

  check_product(product(z, batch, batch, batch, width, {o.image.data, width}, {o.text.data, width, true}));
  parallel_for(batch, batch, [&](Index i) {
    float* const row = z + i * batch;
    const std::int32_t* const labels = o.labels;
    const std::int32_t label = labels[i];
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < batch; ++j) { row[j] = scale * (row[j] + choose(labels[j] == label, 0.0F, margin)); }
    row_sums[i] = row_log_sum(row, batch);
  });
  column_log_sums(column_sums, o.logits);

  // The targets of a row and of a column sum to one, so sum t log softmax = sum t (z - log sum).
  double* const losses = device.workspace<double>(2 * batch);
  double* const scale_slopes = losses + batch;
  const float share = 1.0F / static_cast<float>(2 * batch);
  parallel_for(batch, batch, [&](Index i) {
    std::array<float, strip_floats> of_row, of_columns;
    const std::int32_t label = o.labels[i];
    const float image_positive = o.positive.data[i], image_negative = o.negative.data[i], row_sum = row_sums[i];
    double loss = 0, scale_slope = 0;
    for (Index begin = 0; begin < batch; begin += strip_floats) {
      const Index n = std::min(strip_floats, batch - begin);
      float* const row = z + i * batch + begin;
      exp_of_difference(of_row.data(), row, row_sum, n);
      const float* const sums = column_sums + begin;
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < n; ++j) { of_columns[j] = row[j] - sums[j]; }
      exp_of_difference(of_columns.data(), of_columns.data(), 0.0F, n);
      const float *const positive = o.positive.data + begin, *const negative = o.negative.data + begin;
      const std::int32_t* const labels = o.labels + begin;
      // In floats, and then the sums: of a loop with both GCC makes no vector code.
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < n; ++j) {
        const bool same = labels[j] == label;
        const float image_target = choose(same, image_positive, image_negative);
        const float text_target = choose(same, positive[j], negative[j]);
        const float gradient = share * (of_row[j] + of_columns[j] - image_target - text_target);
        of_row[j] = image_target * (row[j] - row_sum) + text_target * (row[j] - sums[j]);
        of_columns[j] = gradient * row[j];
        row[j] = gradient;
      }
      RADAPT_VECTOR_SUM(loss, scale_slope)
      for (Index j = 0; j < n; ++j) {
        loss -= static_cast<double>(of_row[j]);
        scale_slope += static_cast<double>(of_columns[j]);
      }
    }
    losses[i] = loss;
    scale_slopes[i] = scale_slope;
  });
  double loss = 0, scale_slope = 0;
  for (Index i = 0; i < batch; ++i) {
    loss += losses[i];
    scale_slope += scale_slopes[i];
  }
  *o.loss = loss / static_cast<double>(2 * batch);
  if (o.dlog_scale != nullptr) { *o.dlog_scale += static_cast<float>(scale_slope); }
  if (o.dimage.data != nullptr) {
    check_product(product(o.dimage.data, width, batch, width, batch, {z, batch}, {o.text.data, width}, scale));
  }
  if (o.dtext.data != nullptr) {
    check_product(product(o.dtext.data, width, batch, width, batch, {z, batch, true}, {o.image.data, width}, scale));
  }
}

inline void launch(onednn& device, const op::cross_entropy<float>& o) {
  using namespace detail::cpu;
  const Index batch = o.logits.rows, classes = o.logits.columns;
  const double spread = o.smoothing / static_cast<double>(classes), peak = 1.0 - o.smoothing;
  const float share = static_cast<float>(o.gradient_scale / static_cast<double>(batch));
  // Losses of the rows, then room for one row of logits with its margins each.
  const Index margin_floats = o.margins.data == nullptr ? 0 : batch * classes;
  double* const losses = device.workspace<double>(batch + block_count(margin_floats, 2));
  auto* const sums = reinterpret_cast<float*>(losses + batch);
  parallel_for(batch, classes, [&](Index i) {
    const float* row = o.logits.data + i * classes;
    const auto label = static_cast<Index>(o.labels[i]);
    if (margin_floats != 0) {
      std::copy_n(row, classes, sums + i * classes);
      add_to(sums + i * classes, o.margins.data + label * classes, classes);
      row = sums + i * classes;
    }
    const float log_sum = row_log_sum(row, classes);
    losses[i] = -peak * static_cast<double>(row[label] - log_sum);
    if (spread != 0) {
      for (Index j = 0; j < classes; ++j) { losses[i] -= spread * static_cast<double>(row[j] - log_sum); }
    }
    if (o.dlogits.data != nullptr) {
      float* const slope = o.dlogits.data + i * classes;
      exp_of_difference(slope, row, log_sum, classes);
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < classes; ++j) { slope[j] = share * (slope[j] - static_cast<float>(spread)); }
      slope[label] -= share * static_cast<float>(peak);
    }
  });
  double loss = 0;
  for (Index i = 0; i < batch; ++i) { loss += losses[i]; }
  *o.loss = loss / static_cast<double>(batch);
}

inline void launch(onednn& device, const op::distillation<float>& o) {
  using namespace detail::cpu;
  const Index batch = o.student.rows, columns = o.student.columns;
  const float share = static_cast<float>(o.weight / static_cast<double>(batch));
  const auto masked = [&](Index i, Index j) { return o.labels != nullptr && o.labels[i] == o.labels[j]; };
  const auto log_sum = [&](const float* row, Index i) {
    if (o.labels == nullptr) { return row_log_sum(row, columns); }
    float most = -std::numeric_limits<float>::infinity(), sum = 0;
    for (Index j = 0; j < columns; ++j) { most = masked(i, j) ? most : std::max(most, row[j]); }
    for (Index j = 0; j < columns; ++j) { sum += masked(i, j) ? 0.0F : std::exp(row[j] - most); }
    return most + std::log(sum);
  };
  *o.loss += o.weight / static_cast<double>(batch) * ordered_sum(device, batch, 2 * columns, [&](Index i) {
               float* const student = o.student.data + i * columns;
               const float* const teacher = o.teacher.data + i * columns;
               const float student_sum = log_sum(student, i), teacher_sum = log_sum(teacher, i);
               double loss = 0;
               for (Index j = 0; j < columns; ++j) {
                 float gradient = 0;
                 if (!masked(i, j)) {
                   const float log_p = student[j] - student_sum, log_t = teacher[j] - teacher_sum, t = std::exp(log_t);
                   if (t > 0) { loss += static_cast<double>(t * ((o.minus_entropy ? log_t : 0.0F) - log_p)); }
                   gradient = share * (std::exp(log_p) - t);
                 }
                 student[j] = gradient;
               }
               return loss;
             });
}

}  // namespace radapt
