/// The optimiser, the schedule and gradient clipping of the golden table.
#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/op/update.hpp"
#include "radapt/train/optimizer.hpp"
#include "radapt/train/schedule.hpp"
#include "support/golden_tables.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

template <class S>
void adamw(TableCase& c) {
  using T = typename S::T;
  const Index steps = c.extent("gradients", 0);
  auto parameters = c.read<T>("initial");
  const auto gradients = c.read<T>("gradients");
  const auto expected = c.read<double>("after_step");
  const Index n = parameters.size();
  std::vector<T> first_moment(n), second_moment(n);
  radapt::Context<typename S::backend> context;
  radapt::op::adamw<T> o{.parameters = {parameters.data(), n},
                         .first_moment = {first_moment.data(), n},
                         .second_moment = {second_moment.data(), n},
                         .gradients = {},
                         .lr = c.scalar<double>("lr"),
                         .beta1 = c.scalar<double>("beta1"),
                         .beta2 = c.scalar<double>("beta2"),
                         .eps = c.scalar<double>("eps"),
                         .weight_decay = c.scalar<double>("weight_decay")};
  for (Index t = 0; t < steps; ++t) {
    CAPTURE(t);
    o.gradients = {gradients.data() + t * n, n};
    o.step = t + 1;
    radapt::run(context, o);
    const std::vector<double> after(expected.data() + t * n, expected.data() + (t + 1) * n);
    CHECK(table_error(parameters, after) < bounds<T>::tables);
  }
}

template <class S>
void schedule(TableCase& c) {
  const radapt::WarmupCosine rate{.base = c.scalar<double>("base"),
                                  .warmup = static_cast<std::uint64_t>(c.scalar<std::int64_t>("warmup")),
                                  .total = static_cast<std::uint64_t>(c.scalar<std::int64_t>("total")),
                                  .minimum = c.scalar<double>("min_lr")};
  const auto expected = c.read<double>("lr");
  std::vector<double> got;
  for (std::uint64_t step = 0; step < expected.size(); ++step) { got.push_back(rate(step)); }
  CHECK(normalised_error(got, expected) < 1e-14);  // the same formula in double; rates are far below one
}

template <class S>
void clip_gradients(TableCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  std::vector<std::vector<T>> gradients{c.read<T>("gradient_a"), c.read<T>("gradient_b")};
  double squares = 0;
  for (const auto& g : gradients) {
    radapt::run(context, radapt::op::sum_of_squares<T>{.x = {g.data(), g.size()}, .result = &squares});
  }
  const double norm = std::sqrt(squares);
  CHECK(table_error(std::vector{norm}, c.read<double>("norm")) < bounds<T>::tables);
  T factor = 0;
  radapt::run(context,
              radapt::op::clip_factor<T>{.squares = &squares, .most = c.scalar<double>("max_norm"), .factor = &factor});
  // With beta1 = 0 the first moment is the gradient that the optimiser goes by.
  for (const char* name : {"a", "b"}) {
    const auto& g = gradients[name[0] == 'a' ? 0 : 1];
    const Index n = g.size();
    std::vector<T> parameters(n), clipped(n), second_moment(n);
    radapt::run(context, radapt::op::adamw<T>{.parameters = {parameters.data(), n},
                                              .first_moment = {clipped.data(), n},
                                              .second_moment = {second_moment.data(), n},
                                              .gradients = {g.data(), n},
                                              .clip = &factor,
                                              .lr = 1e-3,
                                              .beta1 = 0.0});
    CHECK(table_error(clipped, c.read<double>(std::string("clipped.gradient_") + name)) < bounds<T>::tables);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("updates of the golden table", S, InDouble, InFloat) {
  walk_tables("train/golden_updates_test.cpp",
              {{"adamw", adamw<S>}, {"schedule", schedule<S>}, {"clip_gradients", clip_gradients<S>}});
}
