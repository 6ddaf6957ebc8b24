#pragma once
/// A layer's two passes against a case of tests/oracle.
#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "oracle/cases.hpp"
#include "radapt/core/context.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/core/weights.hpp"
#include "support/settings.hpp"

namespace radapt_test {

using radapt::Index;

/// The case's y, and its gradients by x and by every tensor that a recipe may train.
template <class S, class Layer, class X>
void check_passes(OracleCase& c, const auto& tree) {
  using T = typename S::T;
  using Tune = radapt::tune::everything;
  using Plan = radapt::Plan<Layer, X, T, Tune, true>;
  using Y = typename Layer::template output<X>;
  const auto x = c.read<T>("x"), dy = c.read<T>("dy");
  const Index rows = c.extent("x", 0);
  radapt::Context<typename S::backend> context;
  context.sequences = {.count = 1, .uniform_length = rows};
  const radapt::Extent extent = context.sequences.extent();
  context.arena.reserve(Plan::kept(extent), std::max(Plan::forward_scratch(extent), Plan::backward_scratch(extent)));

  std::vector<T> y(dy.size()), dx(x.size());
  radapt::Gradients<Layer, Tune, T> gradients;
  radapt::Buffer<T> gradient_buffer(radapt::bind<T>(gradients, nullptr));
  radapt::bind(gradients, gradient_buffer.data());
  typename Plan::Saved saved;
  const radapt::View<const T, X> in{x.data(), rows};
  Layer::template forward<T, X>(context, tree, in, radapt::View<T, Y>{y.data(), rows}, saved);
  Layer::template backward<T, X>(context, tree, gradients, in, radapt::Dropped{}, saved,
                                 radapt::View<const T, Y>{dy.data(), rows}, radapt::View<T, X>{dx.data(), rows});
  CHECK(oracle_error(y, c.read("y")) < oracle_bound<T>);
  CHECK(oracle_error(dx, c.read("grad.x")) < oracle_bound<T>);
  radapt::each_named(
      [&](const std::string& name, const auto& leaf) {
        if constexpr (radapt::wanted<std::remove_cvref_t<decltype(leaf)>>) {
          CAPTURE(name);
          CHECK(oracle_error(std::vector<T>(leaf.data, leaf.data + leaf.size()), c.read("grad." + name)) <
                oracle_bound<T>);
        }
      },
      "", gradients);
}

}  // namespace radapt_test
