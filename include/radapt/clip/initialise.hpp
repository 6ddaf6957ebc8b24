#pragma once
/// First values of a CLIP that is trained from scratch, as in open_clip (clip_compat.md 1.2).
#include <cmath>
#include <string>

#include "radapt/clip/clip.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/weights.hpp"

namespace radapt {

namespace detail {

/// How one tensor is drawn: normal with a standard deviation, uniform in +-bound, or one constant.
struct FirstValue {
  double normal = 0.0, uniform = 0.0, constant = 0.0;
};

template <class Arch>
FirstValue first_value(const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  const bool image = name.starts_with("visual.");
  const auto root = [](double x) { return std::sqrt(x); };
  const double width = static_cast<double>(image ? Arch::vision.width : Arch::text.width);
  const double hidden = static_cast<double>(image ? Arch::vision.hidden : Arch::text.hidden);
  const double layers = static_cast<double>(Arch::text.layers);

  if (name == "logit_scale") { return {.constant = std::log(1.0 / 0.07)}; }
  if (has("ln_")) { return {.constant = name.ends_with("weight") ? 1.0 : 0.0}; }
  if (image) {
    if (has("conv1")) { return {.uniform = 1.0 / root(3.0 * static_cast<double>(Arch::patch * Arch::patch))}; }
    if (has("embedding") || name == "visual.proj") { return {.normal = 1.0 / root(width)}; }
    if (has("in_proj_weight")) { return {.uniform = root(6.0 / (4.0 * width))}; }
    if (has("in_proj_bias") || has("out_proj.bias")) { return {}; }
    if (has("c_proj")) { return {.uniform = 1.0 / root(hidden)}; }
    return {.uniform = 1.0 / root(width)};  // out_proj.weight, c_fc
  }
  if (has("token_embedding")) { return {.normal = 0.02}; }
  if (has("positional_embedding")) { return {.normal = 0.01}; }
  if (has("in_proj_weight") || name == "text_projection") { return {.normal = 1.0 / root(width)}; }
  if (has("out_proj.weight") || has("c_proj.weight")) { return {.normal = 1.0 / root(width * 2.0 * layers)}; }
  if (has("c_fc.weight")) { return {.normal = 1.0 / root(2.0 * width)}; }
  if (has("in_proj_bias") || has("out_proj.bias")) { return {}; }
  return {.uniform = 1.0 / root(has("c_proj") ? hidden : width)};  // biases of the MLP
}

}  // namespace detail

/// Draws every parameter of a Clip; each tensor has a random stream of its own, so a name gets the same values whatever
/// else the model holds. Adapters get the first values of their policy.
template <class Arch, class Policy, class Unlock, class T>
void initialise_clip(Weights<Clip<Arch, Policy, Unlock>, T>& weights, std::uint64_t seed) {
  std::uint64_t stream = 1;
  for (const Tensor<T>& tensor : weights.tensors()) {
    if (tensor.facts.is_adapter) { continue; }
    const detail::FirstValue rule = detail::first_value<Arch>(tensor.name());
    Random random(seed, stream++);
    for (Index i = 0; i < tensor.size(); ++i) {
      const double value = rule.normal > 0    ? rule.normal * random.normal()
                           : rule.uniform > 0 ? random.uniform(-rule.uniform, rule.uniform)
                                              : rule.constant;
      tensor.data[i] = static_cast<T>(value);
    }
  }
  Random random(seed, 0);
  Clip<Arch, Policy, Unlock>::initialise(weights.tree(), random);
}

}  // namespace radapt
