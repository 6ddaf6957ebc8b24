#pragma once
/// Reference kernels of op/embed.hpp.
#include <algorithm>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/embed.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::extract_patches<T>& o) {
  const Index grid = o.size / o.patch;
  T* out = o.patches.data;
  for (Index n = 0; n < o.pixels.rows; ++n) {
    for (Index gy = 0; gy < grid; ++gy) {
      for (Index gx = 0; gx < grid; ++gx) {
        for (Index c = 0; c < 3; ++c) {
          for (Index y = 0; y < o.patch; ++y) {
            const T* row = o.pixels.data + ((n * 3 + c) * o.size + gy * o.patch + y) * o.size + gx * o.patch;
            out = std::copy(row, row + o.patch, out);
          }
        }
      }
    }
  }
}

template <class T>
void launch(reference&, const op::assemble_tokens_forward<T>& o) {
  using namespace detail::eigen;
  const Index tokens = o.positions.rows;
  for (Index n = 0; n < o.sequences.count; ++n) {
    auto y = map(o.y).middleRows(extent(n * tokens), extent(tokens));
    y = map(o.positions);
    y.row(0) += map(o.class_embedding);
    y.bottomRows(extent(tokens - 1)) += map(o.patches).middleRows(extent(n * (tokens - 1)), extent(tokens - 1));
  }
}

template <class T>
void launch(reference&, const op::assemble_tokens_backward<T>& o) {
  using namespace detail::eigen;
  for (Index n = 0; n < o.sequences.count; ++n) {
    const Index tokens = o.sequences.length(n);
    const auto dy = map(o.dy).middleRows(extent(n * tokens), extent(tokens));
    if (o.dpatches.data != nullptr) {
      map(o.dpatches).middleRows(extent(n * (tokens - 1)), extent(tokens - 1)) = dy.bottomRows(extent(tokens - 1));
    }
    if (o.dclass_embedding) { map(o.dclass_embedding) += dy.row(0); }
    if (o.dpositions.data != nullptr) { map(o.dpositions) += dy; }
  }
}

template <class T>
void launch(reference&, const op::embed_tokens_forward<T>& o) {
  using namespace detail::eigen;
  for (Index i = 0; i < o.sequences.count; ++i) {
    const Index first = o.sequences.begin(i);
    for (Index t = 0; t < o.sequences.length(i); ++t) {
      map(o.y).row(extent(first + t)) = map(o.table).row(o.ids[first + t]) + map(o.positions).row(extent(t));
    }
  }
}

template <class T>
void launch(reference&, const op::embed_tokens_backward<T>& o) {
  using namespace detail::eigen;
  for (Index i = 0; i < o.sequences.count; ++i) {
    const Index first = o.sequences.begin(i);
    for (Index t = 0; t < o.sequences.length(i); ++t) {
      const auto dy = map(o.dy).row(extent(first + t));
      if (o.dtable.data != nullptr) { map(o.dtable).row(o.ids[first + t]) += dy; }
      if (o.dpositions.data != nullptr) { map(o.dpositions).row(extent(t)) += dy; }
    }
  }
}

}  // namespace radapt
