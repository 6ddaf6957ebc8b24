#pragma once
/// oneDNN backend's kernels of op/update.hpp: one pass over flat buffers each.
#include <algorithm>
#include <cmath>
#include <limits>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/update.hpp"

namespace radapt {

inline void launch(onednn&, const op::adamw<float>& o) {
  using namespace detail::cpu;
  // Up to five streams: pieces of this many floats are still in the first-level cache from one loop to the next, and a
  // loop that stores to one stream only does not stumble over others that lie at the same place of a page.
  constexpr Index piece = 1024;
  const auto narrow = [](double x) { return static_cast<float>(x); };
  const double correction1 = 1.0 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1.0 - std::pow(o.beta2, static_cast<double>(o.step));
  const float b1 = narrow(o.beta1), b2 = narrow(o.beta2);
  const float b1_rest = narrow(1.0 - o.beta1), b2_rest = narrow(1.0 - o.beta2);
  const float clip = o.clip == nullptr ? 1.0F : *o.clip;
  if (std::isnan(clip)) { return; }
  const float gradient_scale = narrow(o.gradient_scale) * clip, keep = narrow(1.0 - o.lr * o.weight_decay);
  const float rate = narrow(o.lr / correction1), root = narrow(1.0 / std::sqrt(correction2)), eps = narrow(o.eps);
  const float momentum = narrow(o.average_momentum), momentum_rest = narrow(1.0 - o.average_momentum);
  const Index size = o.parameters.size;
  parallel_for(block_count(size, piece), piece, [&](Index i) {
    const Index begin = i * piece, n = std::min(piece, size - begin);
    const float* const gradients = o.gradients.data + begin;
    float *const p = o.parameters.data + begin, *const m = o.first_moment.data + begin;
    float* const v = o.second_moment.data + begin;
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < n; ++j) { m[j] = b1 * m[j] + b1_rest * (gradient_scale * gradients[j]); }
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < n; ++j) {
      const float g = gradient_scale * gradients[j];
      v[j] = b2 * v[j] + b2_rest * (g * g);
    }
    std::array<float, piece> roots;
    square_roots(roots.data(), v, n);
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < n; ++j) { p[j] = keep * p[j] - rate * m[j] / (roots[j] * root + eps); }
    if (o.average) {
      float* const average = o.average.data + begin;
      RADAPT_VECTOR_LOOP
      for (Index j = 0; j < n; ++j) { average[j] = momentum * average[j] + momentum_rest * p[j]; }
    }
  });
}

inline void launch(onednn& device, const op::distance_penalty<float>& o) {
  using namespace detail::cpu;
  const Index size = o.parameters.size;
  const float slope = static_cast<float>(2.0 * o.strength);
  *o.loss += o.strength * ordered_sum(device, block_count(size, block_elements), block_elements, [&](Index i) {
               const Index begin = i * block_elements, n = std::min(block_elements, size - begin);
               const float *const p = o.parameters.data + begin, *const anchor = o.anchor.data + begin;
               float* const gradients = o.gradients.data + begin;
               double squares = 0;
               RADAPT_VECTOR_SUM(squares)
               for (Index j = 0; j < n; ++j) {
                 const float distance = p[j] - anchor[j];
                 gradients[j] += slope * distance;
                 squares += static_cast<double>(distance) * static_cast<double>(distance);
               }
               return squares;
             });
}

inline void launch(onednn& device, const op::sum_of_squares<float>& o) {
  using namespace detail::cpu;
  *o.result += ordered_sum(device, block_count(o.x.size, block_elements), block_elements, [&](Index i) {
    const Index begin = i * block_elements, n = std::min(block_elements, o.x.size - begin);
    const float* const x = o.x.data + begin;
    double squares = 0;
    RADAPT_VECTOR_SUM(squares)
    for (Index j = 0; j < n; ++j) { squares += static_cast<double>(x[j]) * static_cast<double>(x[j]); }
    return squares;
  });
}

inline void launch(onednn&, const op::clip_factor<float>& o) {
  const double* const losses = o.losses.data;
  const bool finite = std::isfinite(*o.squares) &&
                      std::all_of(losses, losses + o.losses.size, [](double loss) { return std::isfinite(loss); });
  const double factor = o.most > 0 ? std::min(1.0, o.most / (std::sqrt(*o.squares) + 1e-6)) : 1.0;
  *o.factor = finite ? static_cast<float>(factor) : std::numeric_limits<float>::quiet_NaN();
}

template <cpu_element T>
void launch(onednn&, const op::clear<T>& o) {
  detail::cpu::parallel_blocks(
      o.x.size, [&](Index begin, Index n) { std::memset(static_cast<void*>(o.x.data + begin), 0, n * sizeof(T)); });
}

}  // namespace radapt
