#pragma once
/// oneDNN backend's kernels of op/norm.hpp: own loops, a row at a time while it is in the first-level cache.
#include <cmath>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

inline void launch(onednn&, const op::layer_norm_forward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  const auto weight = array(o.weight.data, width), bias = array(o.bias.data, width);
  parallel_for(o.x.rows, width, [&](Index r) {
    const auto x = array(o.x.data + r * width, width);
    const float mean = x.mean();
    const float rstd = 1.0F / std::sqrt((x - mean).square().mean() + static_cast<float>(o.eps));
    array(o.y.data + r * width, width) = (x - mean) * rstd * weight + bias;
    if (o.mean) { o.mean.data[r] = mean; }
    if (o.rstd) { o.rstd.data[r] = rstd; }
  });
}

inline void launch(onednn&, const op::layer_norm_backward_input<float>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  const auto weight = array(o.weight.data, width);
  parallel_for(o.x.rows, width, [&](Index r) {
    const auto x = array(o.x.data + r * width, width), dy = array(o.dy.data + r * width, width);
    const float mean = o.mean.data[r], rstd = o.rstd.data[r];
    const float mean_g = (dy * weight).mean();
    const float slope = (dy * weight * (x - mean)).mean() * rstd * rstd;
    array(o.dx.data + r * width, width) = rstd * (dy * weight - mean_g - (x - mean) * slope);
  });
}

inline void launch(onednn& device, const op::layer_norm_backward_weight<float>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  sum_rows<2>(device, o.x.rows, width, {o.dweight.data, o.dbias.data}, [&](Index r, const std::array<float*, 2>& sums) {
    const auto x = array(o.x.data + r * width, width), dy = array(o.dy.data + r * width, width);
    array(sums[0], width) += dy * ((x - o.mean.data[r]) * o.rstd.data[r]);
    array(sums[1], width) += dy;
  });
}

inline void launch(onednn&, const op::l2_normalize_forward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.x.columns;
  parallel_for(o.x.rows, width, [&](Index r) {
    const auto x = array(o.x.data + r * width, width);
    const float norm = std::max(std::sqrt(x.square().sum()), static_cast<float>(o.eps));
    array(o.y.data + r * width, width) = x / norm;
    if (o.norm) { o.norm.data[r] = norm; }
  });
}

inline void launch(onednn&, const op::l2_normalize_backward<float>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns;
  parallel_for(o.y.rows, width, [&](Index r) {
    const auto dy = array(o.dy.data + r * width, width), y = array(o.y.data + r * width, width);
    const float along = (dy * y).sum();
    array(o.dx.data + r * width, width) = (dy - y * along) / o.norm.data[r];
  });
}

}  // namespace radapt
