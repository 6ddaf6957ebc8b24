#pragma once
/// oneDNN backend's kernels of op/embed.hpp: copies and sums of rows.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/embed.hpp"

namespace radapt {

namespace detail::cpu {
/// Columns of a gradient table that one task owns: it alone adds to them, in the order of the rows.
inline constexpr Index columns_per_task = 64;
}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn&, const op::extract_patches<T>& o) {
  using namespace detail::cpu;
  const Index patch = o.patch, grid = o.size / patch, patch_floats = 3 * patch * patch;
  parallel_for(o.pixels.rows * grid, grid * patch_floats, [&](Index task) {
    const Index n = task / grid, grid_y = task % grid;
    T* const patches = o.patches.data + task * grid * patch_floats;
    for (Index c = 0; c < 3; ++c) {
      for (Index y = 0; y < patch; ++y) {
        const float* const row = o.pixels.data + ((n * 3 + c) * o.size + grid_y * patch + y) * o.size;
        for (Index grid_x = 0; grid_x < grid; ++grid_x) {
          T* const to = patches + grid_x * patch_floats + (c * patch + y) * patch;
          const float* const from = row + grid_x * patch;
          RADAPT_VECTOR_LOOP
          for (Index x = 0; x < patch; ++x) { store(to, x, from[x]); }
        }
      }
    }
  });
}

template <cpu_element T>
void launch(onednn&, const op::assemble_tokens_forward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns, tokens = o.positions.rows;
  parallel_for(o.sequences.count * tokens, width, [&](Index row) {
    const Index n = row / tokens, t = row % tokens;
    const float* const position = o.positions.data + t * width;
    T* const y = o.y.data + row * width;
    const auto add_position = [&](const auto* x) {
      RADAPT_VECTOR_LOOP
      for (Index i = 0; i < width; ++i) { store(y, i, load(x, i) + position[i]); }
    };
    if (t == 0) { return add_position(o.class_embedding.data); }
    add_position(o.patches.data + (n * (tokens - 1) + t - 1) * width);
  });
}

template <cpu_element T>
void launch(onednn&, const op::assemble_tokens_backward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.dy.columns, count = o.sequences.count;
  if (count == 0) { return; }
  const Index tokens = o.sequences.length(0);
  const auto dy = [&](Index n, Index t) { return o.dy.data + (n * tokens + t) * width; };
  if (o.dpatches.data != nullptr && tokens > 1) {
    parallel_for(count, tokens * width, [&](Index n) {
      const Index elements = (tokens - 1) * width;
      std::memcpy(o.dpatches.data + n * elements, o.dy.data + (n * tokens + 1) * width, elements * sizeof(T));
    });
  }
  if (o.dclass_embedding) {
    for (Index n = 0; n < count; ++n) { add_to(o.dclass_embedding.data, dy(n, 0), width); }
  }
  if (o.dpositions.data != nullptr) {
    parallel_for(tokens, count * width, [&](Index t) {
      for (Index n = 0; n < count; ++n) { add_to(o.dpositions.data + t * width, dy(n, t), width); }
    });
  }
}

template <cpu_element T>
void launch(onednn&, const op::embed_tokens_forward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns;
  parallel_for(o.sequences.count, o.sequences.longest() * width, [&](Index i) {
    const Index first = o.sequences.begin(i);
    for (Index t = 0; t < o.sequences.length(i); ++t) {
      const float* const x = o.table.data + static_cast<Index>(o.ids[first + t]) * width;
      const float* const position = o.positions.data + t * width;
      T* const y = o.y.data + (first + t) * width;
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < width; ++j) { store(y, j, x[j] + position[j]); }
    }
  });
}

template <cpu_element T>
void launch(onednn&, const op::embed_tokens_backward<T>& o) {
  using namespace detail::cpu;
  const Index width = o.dy.columns;
  parallel_for(block_count(width, columns_per_task), o.dy.rows * columns_per_task, [&](Index task) {
    const Index column = task * columns_per_task, n = std::min(columns_per_task, width - column);
    for (Index i = 0; i < o.sequences.count; ++i) {
      const Index first = o.sequences.begin(i);
      for (Index t = 0; t < o.sequences.length(i); ++t) {
        const T* const dy = o.dy.data + (first + t) * width + column;
        if (o.dtable.data != nullptr) {
          add_to(o.dtable.data + static_cast<Index>(o.ids[first + t]) * width + column, dy, n);
        }
        if (o.dpositions.data != nullptr) { add_to(o.dpositions.data + t * width + column, dy, n); }
      }
    }
  });
}

}  // namespace radapt
