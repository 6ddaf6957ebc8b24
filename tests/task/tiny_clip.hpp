#pragma once
/// A CLIP small enough for loops, with weights in which nothing is one or zero.
#include <cstdint>
#include <string>
#include <vector>

#include "radapt/clip/initialise.hpp"

namespace radapt_test {

using radapt::Index;

template <Index Layers>
struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 6, image = 12, patch = 4, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{8, 2, Layers, 20}, text{8, 2, 1, 16};
};
template <Index Layers>
using Model = radapt::Clip<Tiny<Layers>>;

template <class M, class T = double>
radapt::Weights<M, T> weights_of() {
  radapt::Weights<M, T> weights;
  radapt::initialise_clip(weights, 11);
  // Norms and biases away from one and zero, where a forgotten one would not be seen.
  radapt::Random random(12);
  radapt::each_named(
      [&](const std::string& name, auto& leaf) {
        if (name.find("ln_") == std::string::npos && name.find("bias") == std::string::npos) { return; }
        for (Index i = 0; i < leaf.size(); ++i) { leaf.data[i] += static_cast<T>(random.uniform(-0.3, 0.3)); }
      },
      "", weights.tree());
  return weights;
}
template <class T>
std::vector<T> noise(Index size, std::uint64_t seed) {
  radapt::Random random(seed);
  std::vector<T> out(size);
  for (T& x : out) { x = static_cast<T>(random.normal()); }
  return out;
}

}  // namespace radapt_test
