#pragma once
/// oneDNN kernels of op/pooled_attention.hpp: products for each head of a block of sequences, between them one task per
/// sequence.
///
/// Everything inside is float, whatever is stored. Every part of an output is written by exactly one task, in a fixed
/// order: the number of threads does not show.
#include <cmath>

#include "radapt/backend/onednn/attention.hpp"
#include "radapt/backend/onednn/pieces.hpp"
#include "radapt/op/pooled_attention.hpp"

namespace radapt {

namespace detail::cpu {

/// Of one call: a block of sequences at a time reads each weight once, and bounds the memory that is worked in.
struct PooledHeads {
  static constexpr Index most_sequences = 32;
  Index width, heads;
  Index head_width() const { return width / heads; }
  float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_width())); }

  float* take_rows(Pieces& pieces) const { return pieces.take<float>(most_sequences * width); }
  float* take_rows_of_heads(Pieces& pieces) const { return pieces.take<float>(most_sequences * heads * width); }

  /// y (count, heads, width): y_h = x_h W_h, with x (count, width) and W_h the rows of W that head h has.
  void spread(float* y, const float* x, const float* weight, Index count) const {
    parallel_products(heads, [&](Index h, Index) {
      const Index d = head_width();
      return product(y + h * width, heads * width, count, width, d, {x + h * d, width},
                     {weight + h * d * width, width});
    });
  }
  /// y (count, width): y_h = x_h W_h^T, with x (count, heads, width).
  void gather(float* y, const float* x, const float* weight, Index count) const {
    parallel_products(heads, [&](Index h, Index) {
      const Index d = head_width();
      return product(y + h * d, width, count, d, width, {x + h * width, heads * width},
                     {weight + h * d * width, width, true});
    });
  }
  /// dW_h += x_h^T y_h, with x (count, width) and y (count, heads, width).
  void add_to_weight(float* dw, const float* x, const float* y, Index count) const {
    parallel_products(heads, [&](Index h, Index) {
      const Index d = head_width();
      return product(dw + h * d * width, width, d, width, count, {x + h * d, width, true},
                     {y + h * width, heads * width}, 1.0F, 1.0F);
    });
  }
};

/// What a call works in: rows for a block of sequences, (32, width) or (32, heads, width), and what each thread has.
struct PooledForwardRoom {
  float *q, *y, *u, *z, *scratch;
  Pieces pieces;

  PooledForwardRoom(char* data, const PooledHeads& sizes, Index scratch_floats) : pieces(data) {
    for (float** rows : {&q, &y}) { *rows = sizes.take_rows(pieces); }
    for (float** rows : {&u, &z}) { *rows = sizes.take_rows_of_heads(pieces); }
    scratch = pieces.take<float>(scratch_floats);
  }
};
struct PooledBackwardRoom {
  float *q, *dy, *dq, *u, *e, *g, *z, *scratch;
  Pieces pieces;

  PooledBackwardRoom(char* data, const PooledHeads& sizes, Index scratch_floats) : pieces(data) {
    for (float** rows : {&q, &dy, &dq}) { *rows = sizes.take_rows(pieces); }
    for (float** rows : {&u, &e, &g, &z}) { *rows = sizes.take_rows_of_heads(pieces); }
    scratch = pieces.take<float>(scratch_floats);
  }
};
template <class Room>
Room room_of(onednn& device, const PooledHeads& sizes, Index scratch_floats) {
  return Room(device.workspace<char>(Room(nullptr, sizes, scratch_floats).pieces.bytes()), sizes, scratch_floats);
}

}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn& device, const op::pooled_attention_forward<T>& o) {
  using namespace detail::cpu;
  const PooledHeads sizes{o.y.columns, o.heads};
  const Index width = sizes.width, heads = o.heads, longest = o.sequences.longest();
  const Index scores_floats = padded_elements<float>(heads * longest);
  const Index task_floats = scores_floats + Heads<T>::floats(longest, width, 1);
  const auto room = room_of<PooledForwardRoom>(device, sizes, thread_count() * task_floats);
  float *const q = room.q, *const y = room.y, *const u = room.u, *const z = room.z;
  for (Index begin = 0; begin < o.sequences.count; begin += PooledHeads::most_sequences) {
    const Index count = std::min(PooledHeads::most_sequences, o.sequences.count - begin);
    convert(q, o.q.data + begin * width, count * width);
    sizes.spread(u, q, o.key.data, count);
    parallel_products(count, [&](Index i, Index thread) {
      float* const scores = room.scratch + thread * task_floats;
      const Index first = o.sequences.begin(begin + i), length = o.sequences.length(begin + i);
      const Index seen = o.causal ? pooled_position(o.sequences, o.pooling, begin + i) + 1 : length;
      Heads<T> rows(seen, width, scores + scores_floats);
      const auto x = rows.read(o.x.data + first * width, width);
      bool done = product(scores, seen, heads, seen, width, {u + i * heads * width, width}, {x.data, x.stride, true},
                          sizes.scale());
      for (Index h = 0; h < heads; ++h) { softmax_row(scores + h * seen, seen, seen); }
      if (o.probabilities.data != nullptr) {
        for (Index t = 0; t < length; ++t) {
          float* const p = o.probabilities.data + (first + t) * heads;
          for (Index h = 0; h < heads; ++h) { p[h] = t < seen ? scores[h * seen + t] : 0.0F; }
        }
      }
      return done && product(z + i * heads * width, width, heads, width, seen, {scores, seen}, {x.data, x.stride});
    });
    sizes.gather(y, z, o.value.data, count);
    for (Index i = 0; i < count; ++i) {
      float* const row = y + i * width;
      if (o.value_bias.data != nullptr) { add_to(row, o.value_bias.data, width); }
      convert(o.y.data + (begin + i) * width, row, width);
    }
  }
}

template <cpu_element T>
void launch(onednn& device, const op::pooled_attention_backward<T>& o) {
  using namespace detail::cpu;
  const PooledHeads sizes{o.dy.columns, o.heads};
  const Index width = sizes.width, heads = o.heads, longest = o.sequences.longest();
  const Index scores_floats = padded_elements<float>(heads * longest);
  const Index task_floats = 2 * scores_floats + Heads<T>::floats(longest, width, 2);
  const auto room = room_of<PooledBackwardRoom>(device, sizes, thread_count() * task_floats);
  float *const q = room.q, *const dy = room.dy, *const dq = room.dq;
  float *const u = room.u, *const e = room.e, *const g = room.g, *const z = room.z;
  const float scale = sizes.scale();
  for (Index begin = 0; begin < o.sequences.count; begin += PooledHeads::most_sequences) {
    const Index count = std::min(PooledHeads::most_sequences, o.sequences.count - begin);
    convert(q, o.q.data + begin * width, count * width);
    convert(dy, o.dy.data + begin * width, count * width);
    sizes.spread(u, q, o.key.data, count);
    sizes.spread(e, dy, o.value.data, count);
    parallel_products(count, [&](Index i, Index thread) {
      float *const p = room.scratch + thread * task_floats, *const ds = p + scores_floats;
      const Index first = o.sequences.begin(begin + i), length = o.sequences.length(begin + i), at = i * heads * width;
      Heads<T> rows(length, width, ds + scores_floats);
      const auto x = rows.read(o.x.data + first * width, width);
      const auto dx = rows.write(o.dx.data + first * width, width);
      bool done = product(ds, length, heads, length, width, {e + at, width}, {x.data, x.stride, true});
      for (Index h = 0; h < heads; ++h) {
        float *const row = p + h * length, *const slopes = ds + h * length;
        for (Index t = 0; t < length; ++t) { row[t] = o.probabilities.data[(first + t) * heads + h]; }
        const float along = dot(row, slopes, length);
        RADAPT_VECTOR_LOOP
        for (Index t = 0; t < length; ++t) { slopes[t] = row[t] * (slopes[t] - along) * scale; }
      }
      done = done && product(dx.data, dx.stride, length, width, heads, {p, length, true}, {e + at, width});
      done = done && product(dx.data, dx.stride, length, width, heads, {ds, length, true}, {u + at, width}, 1.0F, 1.0F);
      rows.put(o.dx.data + first * width, width, dx);
      done = done && product(g + at, width, heads, width, length, {ds, length}, {x.data, x.stride});
      return done && (o.dvalue.data == nullptr ||
                      product(z + at, width, heads, width, length, {p, length}, {x.data, x.stride}));
    });
    sizes.gather(dq, g, o.key.data, count);
    convert(o.dq.data + begin * width, dq, count * width);
    if (o.dkey.data != nullptr) { sizes.add_to_weight(o.dkey.data, q, g, count); }
    if (o.dvalue.data != nullptr) { sizes.add_to_weight(o.dvalue.data, dy, z, count); }
  }
}

}  // namespace radapt
