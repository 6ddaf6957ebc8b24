#pragma once
/// A run of R-Adapter on a tiny model, whose steps depend on their number alone.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt_test::tiny_run {

struct Tiny : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{32, 2, 2, 64}, text{16, 2, 2, 64};
};
using Recipe = radapt::recipe::r_adapter<Tiny, radapt::low_rank<3>>;
using Model = Recipe::trained;
using Trainer = radapt::Trainer<Recipe, radapt::reference>;
inline constexpr radapt::Index batch = 6;

inline radapt::Weights<Model> first_weights() {
  radapt::Weights<Model> w;
  radapt::initialise_clip(w, 7);
  return w;
}
inline radapt::TrainOptions options() {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 1e-2, .warmup = 2, .total = 8, .minimum = 0};
  o.average.momentum = 0.9;
  o.seed = 3;
  return o;
}

/// Step `i` of a run: pixels and captions that depend on i alone.
struct Data {
  std::vector<float> pixels = std::vector<float>(batch * Model::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<Model>();
  std::vector<std::int32_t> groups{0, 1, 2, 0, 1, 3};
  explicit Data(std::uint64_t i) {
    radapt::Random random(11, i);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    for (radapt::Index b = 0; b < batch; ++b) {
      std::vector<std::int64_t> ids{14};
      for (radapt::Index t = 0; t <= b % 3; ++t) { ids.push_back(static_cast<std::int64_t>(random.below(14))); }
      ids.push_back(15);
      captions.add(ids);
    }
  }
  radapt::PairBatch<float> get() const { return {.pixels = pixels, .captions = &captions, .groups = groups}; }
};

inline void train(Trainer& trainer, std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps; ++i) { trainer.step(Data(trainer.steps()).get()); }
}
inline bool same_bits(const radapt::Buffer<float>& a, const radapt::Buffer<float>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace radapt_test::tiny_run
