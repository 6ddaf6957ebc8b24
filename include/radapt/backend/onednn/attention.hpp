#pragma once
/// CPU kernels of op/attention.hpp: a head of a sequence is one task with a (T, T) tile of its own in the workspace.
/// Inside the parallel loop oneDNN's products run on the calling thread.
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/op/attention.hpp"

namespace radapt {

namespace detail::cpu {

/// One head of one sequence in the rows of qkv or its gradient.
struct HeadSlice {
  Index first_row, rows, q, k, v;  // first row of the sequence; offsets of q, k, v from the beginning of qkv
};
inline HeadSlice head_slice(const Sequences& s, Index task, Index heads, Index width) {
  const Index sequence = task / heads, head = task % heads, head_width = width / heads;
  const Index first = s.begin(sequence);
  const Index q = first * 3 * width + head * head_width;
  return {first, s.length(sequence), q, q + width, q + 2 * width};
}

using TileRow = Eigen::Map<Eigen::ArrayXf>;
inline TileRow tile_row(float* tile, Index t, Index row_length, Index visible) {
  return {tile + t * row_length, static_cast<Eigen::Index>(visible)};
}

}  // namespace detail::cpu

inline void launch(onednn& device, const op::attention_forward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns, d = width / o.heads, stride = 3 * width;
  const Index longest = o.sequences.longest(), tile_size = padded_elements<float>(longest * longest);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float* tiles = device.workspace(tile_size * static_cast<Index>(threads()));
  parallel_for(o.sequences.count * o.heads, 2, [&](Index task) {
    const HeadSlice h = head_slice(o.sequences, task, o.heads, width);
    float* p = tiles + tile_size * static_cast<Index>(this_thread());
    multiply(Transpose::no, Transpose::yes, h.rows, h.rows, d, scale, o.qkv.data + h.q, stride, o.qkv.data + h.k,
             stride, 0.0f, p, h.rows);
    for (Index t = 0; t < h.rows; ++t) {
      const Index visible = o.causal ? t + 1 : h.rows;
      TileRow row = tile_row(p, t, h.rows, visible);
      const float most = row.maxCoeff();
      row = (row - most).exp();
      const float sum = row.sum();
      row *= 1.0f / sum;
      if (o.log_sum_exp.data != nullptr) {
        o.log_sum_exp.data[(h.first_row + t) * o.heads + task % o.heads] = most + std::log(sum);
      }
      std::fill(p + t * h.rows + visible, p + (t + 1) * h.rows, 0.0f);
    }
    multiply(Transpose::no, Transpose::no, h.rows, d, h.rows, 1.0f, p, h.rows, o.qkv.data + h.v, stride, 0.0f,
             o.y.data + h.first_row * width + task % o.heads * d, width);
  });
}

inline void launch(onednn& device, const op::attention_backward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns, d = width / o.heads, stride = 3 * width;
  const Index longest = o.sequences.longest(), tile_size = padded_elements<float>(longest * longest);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float* tiles = device.workspace(2 * tile_size * static_cast<Index>(threads()));
  parallel_for(o.sequences.count * o.heads, 2, [&](Index task) {
    const HeadSlice h = head_slice(o.sequences, task, o.heads, width);
    const Index head = task % o.heads;
    float* p = tiles + 2 * tile_size * static_cast<Index>(this_thread());
    float* ds = p + tile_size;
    const float* dy = o.dy.data + h.first_row * width + head * d;
    const float* y = o.y.data + h.first_row * width + head * d;
    multiply(Transpose::no, Transpose::yes, h.rows, h.rows, d, scale, o.qkv.data + h.q, stride, o.qkv.data + h.k,
             stride, 0.0f, p, h.rows);
    multiply(Transpose::no, Transpose::yes, h.rows, h.rows, d, 1.0f, dy, width, o.qkv.data + h.v, stride, 0.0f, ds,
             h.rows);
    for (Index t = 0; t < h.rows; ++t) {
      const Index visible = o.causal ? t + 1 : h.rows;
      const auto length = static_cast<Eigen::Index>(d);
      const float along = (Eigen::Map<const Eigen::ArrayXf>(dy + t * width, length) *
                           Eigen::Map<const Eigen::ArrayXf>(y + t * width, length))
                              .sum();
      TileRow row = tile_row(p, t, h.rows, visible), gradient = tile_row(ds, t, h.rows, visible);
      row = (row - o.log_sum_exp.data[(h.first_row + t) * o.heads + head]).exp();
      gradient = row * (gradient - along) * scale;
      std::fill(p + t * h.rows + visible, p + (t + 1) * h.rows, 0.0f);
      std::fill(ds + t * h.rows + visible, ds + (t + 1) * h.rows, 0.0f);
    }
    multiply(Transpose::yes, Transpose::no, h.rows, d, h.rows, 1.0f, p, h.rows, dy, width, 0.0f, o.dqkv.data + h.v,
             stride);
    multiply(Transpose::no, Transpose::no, h.rows, d, h.rows, 1.0f, ds, h.rows, o.qkv.data + h.k, stride, 0.0f,
             o.dqkv.data + h.q, stride);
    multiply(Transpose::yes, Transpose::no, h.rows, d, h.rows, 1.0f, ds, h.rows, o.qkv.data + h.q, stride, 0.0f,
             o.dqkv.data + h.k, stride);
  });
}

}  // namespace radapt
