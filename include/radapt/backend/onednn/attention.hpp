#pragma once
/// oneDNN kernels of op/attention.hpp: one task per head of a sequence, which holds the scores of a block of positions.
///
/// Every part of an output is written by exactly one task, in a fixed order: the number of threads does not show.
#include <atomic>
#include <cmath>
#include <utility>

#include "radapt/backend/onednn/avx512/float_attention.hpp"
#include "radapt/backend/onednn/convert.hpp"
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

/// One head's columns of the rows of a sequence, in float: `stride` floats from row to row.
template <class T>
struct HeadRows {
  T* data;
  Index stride;
  T* row(Index t) const { return data + t * stride; }
};

/// Hands out the heads of one sequence in float. Those of float are where they lie; those of bf16 are copied, and put
/// back when they are results.
template <class T>
class Heads {
 public:
  Heads(Index length, Index width, float* room) : length_(length), width_(width), room_(room) {}
  /// Floats that `heads` of them take at most.
  static Index floats(Index length, Index width, Index heads) {
    return std::is_same_v<T, float> ? 0 : padded_elements<float>(heads * length * width);
  }

  HeadRows<const float> read(const T* x, Index stride) {
    if constexpr (std::is_same_v<T, float>) {
      return {x, stride};
    } else {
      float* const copy = take();
      for (Index t = 0; t < length_; ++t) { convert(copy + t * width_, x + t * stride, width_); }
      return {copy, width_};
    }
  }
  HeadRows<float> write(T* y, Index stride) {
    if constexpr (std::is_same_v<T, float>) {
      return {y, stride};
    } else {
      return {take(), width_};
    }
  }
  /// What was written to `from`.
  void put(T* y, Index stride, HeadRows<float> from) const {
    if constexpr (!std::is_same_v<T, float>) {
      for (Index t = 0; t < length_; ++t) { convert(y + t * stride, from.row(t), width_); }
    }
  }

 private:
  float* take() { return std::exchange(room_, room_ + length_ * width_); }

  Index length_, width_;
  float* room_;
};

/// Runs task(i, thread) for i < n, which says whether its products could be multiplied. Fails when one could not.
template <class F>
void parallel_products(Index n, F&& task) {
  std::atomic<bool> done = true;
  parallel_tasks(n, [&](Index i, Index thread) {
    if (!task(i, thread)) { done = false; }
  });
  check_product(done);
}

/// Runs task(sequence, head, scratch) for all pairs; `floats` is the scratch of one thread. Fails when a task does.
template <class F>
void for_each_head(onednn& device, const Sequences& s, Index heads, Index floats, F&& task) {
  float* const scratch = device.workspace<float>(thread_count() * floats);
  parallel_products(s.count * heads,
                    [&](Index i, Index thread) { return task(i / heads, i % heads, scratch + thread * floats); });
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

template <cpu_element T>
void launch(onednn& device, const op::attention_forward<T>& o) {
  using namespace detail::cpu;
#ifdef RADAPT_HAS_AVX512
  if constexpr (std::is_same_v<T, float>) {
    if (detail::avx512::available<float>()) {
      return detail::avx512::for_each_head<detail::avx512::FloatForwardRoom>(device, o, detail::avx512::attend);
    }
  }
#endif
  const Index width = o.y.columns, head_width = width / o.heads, floats = score_floats(o.sequences);
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  const auto one_head = [&](Index sequence, Index head, float* scores) {
    const Index first = o.sequences.begin(sequence), length = o.sequences.length(sequence);
    const T* const qkv = o.qkv.data + first * 3 * width + head * head_width;
    T* const y_head = o.y.data + first * width + head * head_width;
    Heads<T> heads{length, head_width, scores + floats};
    const auto q = heads.read(qkv, 3 * width), k = heads.read(qkv + width, 3 * width);
    const auto v = heads.read(qkv + 2 * width, 3 * width);
    const auto y = heads.write(y_head, width);
    const PositionBlocks blocks{length};
    bool done = true;
    for (Index b = 0; b < blocks.count(); ++b) {
      const Index begin = blocks.begin(b), end = blocks.end(b), rows = end - begin;
      const Index keys = o.causal ? end : length;
      const Factor block_q{q.row(begin), q.stride}, k_transposed{k.data, k.stride, true};
      done = done && product(scores, keys, rows, keys, head_width, block_q, k_transposed, scale);
      for (Index t = begin; t < end; ++t) {
        const float log_sum = softmax_row(scores + (t - begin) * keys, o.causal ? t + 1 : keys, keys);
        if (o.log_sum_exp.data != nullptr) { o.log_sum_exp.data[(first + t) * o.heads + head] = log_sum; }
      }
      done = done && product(y.row(begin), y.stride, rows, head_width, keys, {scores, keys}, {v.data, v.stride});
    }
    heads.put(y_head, width, y);
    return done;
  };
  for_each_head(device, o.sequences, o.heads, floats + Heads<T>::floats(o.sequences.longest(), head_width, 4),
                one_head);
}

template <cpu_element T>
void launch(onednn& device, const op::attention_backward<T>& o) {
  using namespace detail::cpu;
#ifdef RADAPT_HAS_AVX512
  if constexpr (std::is_same_v<T, float>) {
    if (detail::avx512::available<float>()) {
      return detail::avx512::for_each_head<detail::avx512::FloatBackwardRoom>(device, o,
                                                                              detail::avx512::attend_backward);
    }
  }
#endif
  const Index width = o.y.columns, head_width = width / o.heads, floats = score_floats(o.sequences);
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  const auto one_head = [&](Index sequence, Index head, float* probabilities) {
    float* const slopes = probabilities + floats;
    const Index first = o.sequences.begin(sequence), length = o.sequences.length(sequence);
    const Index first_of_qkv = first * 3 * width + head * head_width, first_of_y = first * width + head * head_width;
    const T* const qkv = o.qkv.data + first_of_qkv;
    T* const dqkv = o.dqkv.data + first_of_qkv;
    Heads<T> heads{length, head_width, slopes + floats};
    const auto q = heads.read(qkv, 3 * width), k = heads.read(qkv + width, 3 * width);
    const auto v = heads.read(qkv + 2 * width, 3 * width);
    const auto y = heads.read(o.y.data + first_of_y, width), dy = heads.read(o.dy.data + first_of_y, width);
    const auto dq = heads.write(dqkv, 3 * width), dk = heads.write(dqkv + width, 3 * width);
    const auto dv = heads.write(dqkv + 2 * width, 3 * width);
    const PositionBlocks blocks{length};
    bool done = true;
    // The last block sees every key, causal or not: it comes first and writes dK and dV, the others add to them.
    for (Index b = blocks.count(); b-- > 0;) {
      const Index begin = blocks.begin(b), end = blocks.end(b), rows = end - begin;
      const Index keys = o.causal ? end : length;
      const float beta = b + 1 == blocks.count() ? 0.0F : 1.0F;
      const Factor block_q{q.row(begin), q.stride}, block_dy{dy.row(begin), dy.stride};
      const Factor k_transposed{k.data, k.stride, true}, v_transposed{v.data, v.stride, true};
      done = done && product(probabilities, keys, rows, keys, head_width, block_q, k_transposed, scale);
      done = done && product(slopes, keys, rows, keys, head_width, block_dy, v_transposed);
      for (Index t = 0; t < rows; ++t) {
        const Index seen = o.causal ? begin + t + 1 : keys;
        float *const p = probabilities + t * keys, *const s = slopes + t * keys;
        const float along = dot(dy.row(begin + t), y.row(begin + t), head_width);
        exp_of_difference(p, p, o.log_sum_exp.data[(first + begin + t) * o.heads + head], seen);
        RADAPT_VECTOR_LOOP
        for (Index i = 0; i < seen; ++i) { s[i] = p[i] * (s[i] - along); }
        std::fill_n(p + seen, keys - seen, 0.0F);
        std::fill_n(s + seen, keys - seen, 0.0F);
      }
      const Factor p_transposed{probabilities, keys, true}, s_transposed{slopes, keys, true};
      done = done && product(dv.data, dv.stride, keys, head_width, rows, p_transposed, block_dy, 1.0F, beta);
      done = done && product(dk.data, dk.stride, keys, head_width, rows, s_transposed, block_q, scale, beta);
      done =
          done && product(dq.row(begin), dq.stride, rows, head_width, keys, {slopes, keys}, {k.data, k.stride}, scale);
    }
    heads.put(dqkv, 3 * width, dq);
    heads.put(dqkv + width, 3 * width, dk);
    heads.put(dqkv + 2 * width, 3 * width, dv);
    return done;
  };
  for_each_head(device, o.sequences, o.heads, 2 * floats + Heads<T>::floats(o.sequences.longest(), head_width, 8),
                one_head);
}

}  // namespace radapt
