#pragma once
/// oneDNN kernels of op/attention.hpp: one task per head of a sequence, which holds the scores of a block of positions.
///
/// Every part of an output is written by exactly one task, in a fixed order: the number of threads does not show.
#include <atomic>
#include <cmath>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/attention.hpp"

namespace radapt {

namespace detail::cpu {

/// Positions of one task whose scores exist at a time: with 577 keys that is 295 kB, the second-level cache of a core.
inline constexpr Index most_block_positions = 128;

/// A sequence's positions cut into blocks of nearly equal length.
class PositionBlocks {
 public:
  explicit PositionBlocks(Index length)
      : length_(length),
        count_(block_count(length, most_block_positions)),
        size_(length == 0 ? 0 : block_count(length, count_)) {}
  Index count() const { return count_; }
  Index begin(Index i) const { return i * size_; }
  Index end(Index i) const { return std::min(length_, (i + 1) * size_); }

 private:
  Index length_, count_, size_;
};

/// Floats of the largest block of scores, rounded up so that two threads never share a cache line.
inline Index score_floats(const Sequences& s) {
  const Index longest = s.longest();
  return padded_elements<float>(std::min(longest, most_block_positions) * longest);
}

/// One head of one sequence inside the rows of qkv.
template <class T>
struct HeadRows {
  T *q, *k, *v;
  Index stride;
};
template <class T>
HeadRows<T> head_rows(Matrix<T> qkv, Index first_row, Index head, Index head_width) {
  const Index width = qkv.columns / 3;
  T* const q = qkv.data + first_row * qkv.columns + head * head_width;
  return {q, q + width, q + 2 * width, qkv.columns};
}

/// Runs task(sequence, head, scratch) for all pairs; `floats` is the scratch of one thread. Fails when a task does.
template <class F>
void for_each_head(onednn& device, const Sequences& s, Index heads, Index floats, F&& task) {
  float* const scratch = device.workspace<float>(thread_count() * floats);
  std::atomic<bool> done = true;
  parallel_tasks(s.count * heads, [&](Index i, Index thread) {
    if (!task(i / heads, i % heads, scratch + thread * floats)) { done = false; }
  });
  check_product(done);
}

/// Turns the first `seen` scores of a row into probabilities and the others, up to `keys`, into zero. Returns the
/// logarithm of the sum of exponentials.
inline float softmax_row(float* row, Index seen, Index keys) {
  const float most = largest(row, seen);
  exp_of_difference(row, row, most, seen);
  const float total = sum(row, seen), share = 1.0F / total;
  RADAPT_VECTOR_LOOP
  for (Index i = 0; i < seen; ++i) { row[i] *= share; }
  std::fill(row + seen, row + keys, 0.0F);
  return most + std::log(total);
}

}  // namespace detail::cpu

inline void launch(onednn& device, const op::attention_forward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns, head_width = width / o.heads;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  const auto one_head = [&](Index sequence, Index head, float* scores) {
    const Index first = o.sequences.begin(sequence), length = o.sequences.length(sequence);
    const auto [q, k, v, stride] = head_rows(o.qkv, first, head, head_width);
    const PositionBlocks blocks{length};
    bool done = true;
    for (Index b = 0; b < blocks.count(); ++b) {
      const Index begin = blocks.begin(b), end = blocks.end(b), rows = end - begin;
      const Index keys = o.causal ? end : length;
      done =
          done && product(scores, keys, rows, keys, head_width, {q + begin * stride, stride}, {k, stride, true}, scale);
      for (Index t = begin; t < end; ++t) {
        const float log_sum = softmax_row(scores + (t - begin) * keys, o.causal ? t + 1 : keys, keys);
        if (o.log_sum_exp.data != nullptr) { o.log_sum_exp.data[(first + t) * o.heads + head] = log_sum; }
      }
      float* const y = o.y.data + (first + begin) * width + head * head_width;
      done = done && product(y, width, rows, head_width, keys, {scores, keys}, {v, stride});
    }
    return done;
  };
  for_each_head(device, o.sequences, o.heads, score_floats(o.sequences), one_head);
}

inline void launch(onednn& device, const op::attention_backward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns, head_width = width / o.heads, floats = score_floats(o.sequences);
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  const auto one_head = [&](Index sequence, Index head, float* probabilities) {
    float* const slopes = probabilities + floats;
    const Index first = o.sequences.begin(sequence), length = o.sequences.length(sequence);
    const auto [q, k, v, stride] = head_rows(o.qkv, first, head, head_width);
    const auto gradient = head_rows(o.dqkv, first, head, head_width);
    const PositionBlocks blocks{length};
    bool done = true;
    // The last block sees every key, causal or not: it comes first and writes dK and dV, the others add to them.
    for (Index b = blocks.count(); b-- > 0;) {
      const Index begin = blocks.begin(b), end = blocks.end(b), rows = end - begin;
      const Index keys = o.causal ? end : length;
      const float beta = b + 1 == blocks.count() ? 0.0F : 1.0F;
      const float* const y = o.y.data + (first + begin) * width + head * head_width;
      const float* const dy = o.dy.data + (first + begin) * width + head * head_width;
      const Factor block_q{q + begin * stride, stride}, block_dy{dy, width};
      done = done && product(probabilities, keys, rows, keys, head_width, block_q, {k, stride, true}, scale);
      done = done && product(slopes, keys, rows, keys, head_width, block_dy, {v, stride, true});
      for (Index t = 0; t < rows; ++t) {
        const Index seen = o.causal ? begin + t + 1 : keys;
        float *const p = probabilities + t * keys, *const s = slopes + t * keys;
        const float along = dot(dy + t * width, y + t * width, head_width);
        exp_of_difference(p, p, o.log_sum_exp.data[(first + begin + t) * o.heads + head], seen);
        RADAPT_VECTOR_LOOP
        for (Index i = 0; i < seen; ++i) { s[i] = p[i] * (s[i] - along); }
        std::fill_n(p + seen, keys - seen, 0.0F);
        std::fill_n(s + seen, keys - seen, 0.0F);
      }
      const Factor p_transposed{probabilities, keys, true}, s_transposed{slopes, keys, true};
      done = done && product(gradient.v, stride, keys, head_width, rows, p_transposed, block_dy, 1.0F, beta);
      done = done && product(gradient.k, stride, keys, head_width, rows, s_transposed, block_q, scale, beta);
      float* const dq = gradient.q + begin * stride;
      done = done && product(dq, stride, rows, head_width, keys, {slopes, keys}, {k, stride}, scale);
    }
    return done;
  };
  for_each_head(device, o.sequences, o.heads, 2 * floats, one_head);
}

}  // namespace radapt
