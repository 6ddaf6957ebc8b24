#pragma once
/// Losses on features and logits, value and gradient in one operation.
#include <cstdint>

#include "radapt/core/plan.hpp"

namespace radapt::op {

/// Symmetric contrastive loss with soft targets, over normalised features f (images) and g (texts).
///
///     z_ij = scale (<f_i, g_j> + margin [label_i != label_j])
///     t_ij = positive_i if label_i == label_j else negative_i
///     loss = -1/(2B) sum_ij ( t_ij log softmax_j(z_i.) + t_ij log softmax_j(z_.i) )
///
/// Rows of t must sum to one. With P positives in row i, MPM-NCE takes positive_i = (1-eps)/P and negative_i =
/// eps/(B-P) (methods.md 1.8); InfoNCE takes distinct labels, 1 and 0.
template <class T>
struct contrastive_loss {
  static constexpr auto name = "contrastive_loss";
  using element = T;
  Matrix<const T> image;                  // (B, E), rows of length 1
  Matrix<const T> text;                   // (B, E), rows of length 1
  const std::int32_t* labels;             // (B)
  Vector<const statistic_t<T>> positive;  // (B)
  Vector<const statistic_t<T>> negative;  // (B)
  double margin = 0.0;                    // cosine added to negatives
  double scale = 100.0;                   // 1 / tau
  const T* log_scale = nullptr;           // when not null the scale is exp(*log_scale), and `scale` is ignored
  Matrix<T> logits;                       // (B, B) workspace
  Vector<statistic_t<T>> log_sums;        // (2 B) workspace
  double* loss = nullptr;                 // 1
  Matrix<T> dimage{};                     // (B, E) or null
  Matrix<T> dtext{};                      // (B, E) or null
  T* dlog_scale = nullptr;                // += or null
};

/// loss = mean over rows of (1-e) nll + e mean over classes of -log p, where p = softmax(logits_i + margins_y) and y is
/// the label of row i; dlogits may be the memory of logits, or null.
template <class T>
struct cross_entropy {
  static constexpr auto name = "cross_entropy";
  using element = T;
  Matrix<const T> logits;      // (B, classes)
  const std::int32_t* labels;  // (B), 0 .. classes-1
  double smoothing = 0.0;
  double* loss = nullptr;
  Matrix<T> dlogits{};          // (B, classes) or null
  double gradient_scale = 1.0;  // multiplies the gradient: a micro-batch's share of the batch
  Matrix<const T> margins{};    // (classes, classes), row y is added to the logits of a sample of class y; or null
};

/// How far the rows of a student's logits are from a teacher's. Over the entries that are not masked, with p = softmax
/// of a student's row and t of the teacher's:
///
///     loss += weight / B sum_ij t_ij (log t_ij - log p_ij)
///     student = weight / B (p - t), 0 where masked
///
/// With `minus_entropy` false the term t log t is left out: cross entropy instead of Kullback-Leibler divergence, with
/// the same gradient. A row all of whose entries are masked counts as zero.
template <class T>
struct distillation {
  static constexpr auto name = "distillation";
  using element = T;
  Matrix<T> student;                     // (B, columns) logits, overwritten by their gradient
  Matrix<const T> teacher;               // (B, columns) logits
  const std::int32_t* labels = nullptr;  // (max(B, columns)) masks entry ij where label i equals label j; null: none
  double weight = 1.0;
  bool minus_entropy = true;
  double* loss = nullptr;
};

}  // namespace radapt::op
