#pragma once
/// Two ways to compute one thing, held against each other to the bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/core/weights.hpp"

namespace radapt_test {

/// A step in which adapters and elements are dropped.
inline radapt::Phase dropping() {
  return {.training = true, .adapter_drop = 0.4, .dropout = 0.3, .seed = 5, .step = 2};
}

/// What a step leaves of a layer on drawn numbers: output, gradients and input gradient.
template <class L, class In, class Tune, bool Dx>
std::vector<float> bits(const radapt::Phase& phase) {
  using namespace radapt;
  using P = Plan<L, In, float, Tune, Dx>;
  using Out = typename L::template output<In>;
  const std::vector<Index> offsets{0, 4, 5, 11};
  Context<reference> c;
  c.sequences = {.count = 3, .offsets = offsets.data()};
  c.phase = phase;
  const Extent e = c.sequences.extent();
  Random random(11);
  Weights<L> weights;
  for (float& w : weights.buffer()) { w = static_cast<float>(0.3 * random.normal()); }
  std::vector<float> x(In::rows(e) * In::width), y(Out::rows(e) * Out::width), dy(y.size());
  for (float& v : x) { v = static_cast<float>(random.normal()); }
  for (float& v : dy) { v = static_cast<float>(random.normal()); }
  Gradients<L, Tune, float> g;
  std::vector<float> dw(bind<float>(g, nullptr)), dx(Dx ? x.size() : 0);
  bind(g, dw.data());
  c.arena.reserve(P::kept(e) + P::backward_kept(e), std::max(P::forward_scratch(e), P::backward_scratch(e)));
  typename P::Saved saved;
  L::template forward<float, In>(c, weights.tree(), View<const float, In>{x.data(), In::rows(e)},
                                 View<float, Out>{y.data(), Out::rows(e)}, saved);
  const std::uint32_t sites = c.phase.next_site;
  const auto back = [&](auto input, auto output, auto gradient) {
    L::template backward<float, In>(c, weights.tree(), g, input, output, saved,
                                    View<const float, Out>{dy.data(), Out::rows(e)}, gradient);
  };
  const View<const float, In> input{x.data(), In::rows(e)};
  const View<const float, Out> output{y.data(), Out::rows(e)};
  if constexpr (Dx) {
    back(input, output, View<float, In>{dx.data(), In::rows(e)});
  } else {
    back(input, output, Discard{});
  }
  CHECK(c.phase.next_site == sites);
  CHECK(c.arena.kept_peak() == P::kept(e) + P::backward_kept(e));
  CHECK(c.arena.scratch_peak() == std::max(P::forward_scratch(e), P::backward_scratch(e)));
  std::vector<float> all = y;
  all.insert(all.end(), dw.begin(), dw.end());
  all.insert(all.end(), dx.begin(), dx.end());
  return all;
}
/// Plain and Again have one tree of tensors. Not all of what a step leaves is zero.
template <class Plain, class Again, class In, class Tune>
void same_bits() {
  using radapt::Phase;
  for (const Phase& phase : {Phase{}, Phase{.training = true}, dropping()}) {
    const auto a = bits<Plain, In, Tune, true>(phase), b = bits<Again, In, Tune, true>(phase);
    REQUIRE(a.size() == b.size());
    CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
    CHECK(std::any_of(a.begin(), a.end(), [](float v) { return v != 0.0f; }));
    const auto c = bits<Plain, In, Tune, false>(phase), d = bits<Again, In, Tune, false>(phase);
    REQUIRE(c.size() == d.size());
    CHECK(std::memcmp(c.data(), d.data(), c.size() * sizeof(float)) == 0);
  }
}

}  // namespace radapt_test
