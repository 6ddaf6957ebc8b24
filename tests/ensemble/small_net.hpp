#pragma once
/// A classifier of two layers on four numbers, with data: small enough for central differences over all of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/sequential.hpp"
#include "radapt/train/held_out.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"

namespace radapt_test {

/// x (rows, 4) -> logits (rows, classes).
struct SmallNet
    : radapt::Sequential<radapt::Named<"layer", radapt::Linear<4, 6>>, radapt::Activate<radapt::Activation::gelu>,
                         radapt::Named<"head", radapt::Linear<6, radapt::dynamic, radapt::role::head>>> {
  using PixelRow = radapt::Samples<4>;
  using LogitRow = radapt::Samples<radapt::dynamic>;
  static constexpr radapt::Sequences image_sequences(radapt::Index images) {
    return {.count = images, .uniform_length = 1};
  }
};

inline constexpr radapt::Index small_classes = 3;
using SmallWeights = radapt::Weights<SmallNet, double>;
using SmallHeldOut = radapt::HeldOutLoss<SmallNet, radapt::reference, double>;

/// Weights whose every tensor is normal with the deviation; equal seeds give equal bits.
template <class W>
W drawn(W weights, std::uint64_t seed, double deviation = 1) {
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) {
        std::generate_n(leaf.data, leaf.size(),
                        [&] { return static_cast<typename W::element>(deviation * random.normal()); });
      },
      weights.tree());
  return weights;
}
inline SmallWeights small_net(std::uint64_t seed) { return drawn(SmallWeights(small_classes), seed, 0.7); }

/// `a` with every tensor moved by normal numbers of the deviation.
template <class W>
W moved(W a, std::uint64_t seed, double deviation) {
  const W step = drawn(W(a.classes()), seed, deviation);
  for (radapt::Index i = 0; i < a.buffer().size(); ++i) { a.buffer()[i] += step.buffer()[i]; }
  return a;
}

/// Samples and their classes.
struct SmallData {
  std::vector<double> pixels;
  std::vector<std::int32_t> labels;
  explicit SmallData(radapt::Index samples, std::uint64_t seed = 5) {
    radapt::Random random(seed);
    for (radapt::Index i = 0; i < 4 * samples; ++i) { pixels.push_back(random.normal()); }
    for (radapt::Index i = 0; i < samples; ++i) { labels.push_back(static_cast<std::int32_t>(random.below(3))); }
  }
  SmallHeldOut::Batch batch() const { return {.pixels = pixels, .labels = labels}; }
  SmallHeldOut::Batch sample(radapt::Index i) const {
    return {.pixels = std::span<const double>(pixels).subspan(4 * i, 4),
            .labels = std::span<const std::int32_t>(labels).subspan(i, 1)};
  }
};

inline bool same_bits(const auto& a, const auto& b) {
  return a.buffer().size() == b.buffer().size() && std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}

}  // namespace radapt_test
