#pragma once
/// One training step of each tower on the counting backend, in an arena of exactly the planned size.
#include <doctest/doctest.h>

#include <vector>

#include "plan/counting_backend.hpp"
#include "plan/small_clip.hpp"
#include "radapt/core/weights.hpp"

namespace radapt_test {

/// Forward and backward of a tower on rows X under a policy; checks that plan and peaks are equal. Returns how often
/// each operation was launched.
template <class Tower, class X, class Tune, class Out = typename Tower::template output<X>>
counting run_tower(const radapt::Sequences& sequences) {
  using namespace radapt;
  using TowerPlan = Plan<Tower, X, float, Tune, false>;
  using In = std::conditional_t<std::is_same_v<X, TokenRow>, std::int32_t, float>;
  constexpr Index classes = 5;
  const Extent e = sequences.extent();
  const Index width = Out::width == dynamic ? classes : Out::width;
  const Weights<Tower> weights(classes);
  const std::vector<In> x(X::rows(e) * X::width);
  std::vector<float> y(e.sequences * width);
  const View<const In, X> input{x.data(), X::rows(e)};
  const View<float, Out> output{y.data(), e.sequences, width};

  // Forward: what is kept, and the scratch, are what was planned.
  Context<counting> c;
  c.sequences = sequences;
  c.phase = {.training = true, .adapter_drop = 0.2};
  c.arena.reserve(TowerPlan::kept(e), TowerPlan::forward_scratch(e));
  typename TowerPlan::Saved saved;
  Tower::template forward<float, X>(c, weights.tree(), input, output, saved);
  CHECK(c.arena.kept_peak() == TowerPlan::kept(e));
  CHECK(c.arena.scratch_peak() == TowerPlan::forward_scratch(e));
  if constexpr (!TowerPlan::runs_backward) {
    CHECK(TowerPlan::kept(e) == 0);
    return c.device;
  } else {
    // Backward: scratch, and what is kept for a while, in a context of its own.
    Context<counting> back;
    back.sequences = sequences;
    back.phase = c.phase;
    back.arena.reserve(TowerPlan::backward_kept(e), TowerPlan::backward_scratch(e));
    Gradients<Tower, Tune, float> g;
    std::vector<float> dw(bind<float>(g, nullptr, classes));
    bind(g, dw.data(), classes);
    const std::vector<float> dy(y.size());
    Tower::template backward<float, X>(back, weights.tree(), g, input, Dropped{}, saved,
                                       View<const float, Out>{dy.data(), e.sequences, width}, Discard{});
    CHECK(back.arena.scratch_peak() == TowerPlan::backward_scratch(e));
    CHECK(back.arena.kept_peak() == TowerPlan::backward_kept(e));
    CHECK(back.arena.mark().kept == 0);
    for (const auto& launched : back.device.launched) {
      c.device.launched["backward " + launched.first] += launched.second;
    }
    return c.device;
  }
}

/// The image tower of a model on four images.
template <class Model, class Tune>
counting run_images() {
  return run_tower<typename Model::Image, typename Model::PixelRow, Tune>(Model::image_sequences(4));
}
/// The text tower on captions of several lengths, and on captions that fill the context, as a trainer plans for.
template <class Model, class Tune>
counting run_captions() {
  const std::vector<radapt::Index> offsets{0, 2, 6, 7, 10};
  run_tower<typename Model::Text, radapt::TokenRow, Tune>({.count = 4, .offsets = offsets.data()});
  return run_tower<typename Model::Text, radapt::TokenRow, Tune>({.count = 4, .uniform_length = Small::context});
}

/// Both towers under every policy.
template <class Model, class... Policies>
void run_both_towers() {
  (run_images<Model, Policies>(), ...);
  (run_captions<Model, Policies>(), ...);
}

}  // namespace radapt_test
