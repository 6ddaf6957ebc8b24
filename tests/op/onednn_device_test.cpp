/// What a device of the oneDNN backend does beside its kernels.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "cases/blocks.hpp"
#include "support/allocations.hpp"
#include "radapt/backend/onednn/all.hpp"

namespace {
using namespace radapt;
}

TEST_CASE("a device can be moved") {
  onednn first;
  std::vector<float> x{1, 2, 3}, y(3), again(3);
  const auto run_on = [&](onednn& d, std::vector<float>& to) {
    launch(d, op::activation_forward<float>{{to.data(), 1, 3}, {x.data(), 1, 3}, Activation::gelu});
  };
  run_on(first, y);
  onednn second{std::move(first)};
  run_on(second, again);
  CHECK(y == again);
}

TEST_CASE("a logit that is not a number shows in the loss") {
  onednn device;
  const std::vector<float> logits(70, 0.5F);
  const std::int32_t label = 3;
  const Index places[] = {0, 3, 69};
  for (const Index bad : places) {
    std::vector<float> row = logits;
    row[bad] = NAN;
    double loss = 0;
    launch(device, op::cross_entropy<float>{{row.data(), 1, 70}, &label, 0.0, &loss});
    CHECK(std::isnan(loss));
  }
}

TEST_CASE("batches without rows are left alone") {
  onednn device;
  const auto take = [](radapt_test::Blocks& blocks) {
    radapt_test::Memory<float> m(blocks);
    struct Taken {
      float* dw;
      double* sum;
    };
    return Taken{m.updated(6), m.updated<double>(1)};
  };
  radapt_test::Blocks given, untouched;
  const auto [dw, sum] = take(given);
  take(untouched);
  launch(device, op::linear_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 3}, {dw, 2, 3}});
  launch(device, op::linear_backward_weight<float>{{dw, 2, 3}, {nullptr, 0, 2}, {nullptr, 0, 3}});
  launch(device, op::linear_backward_bias<float>{{dw, 2}, {nullptr, 0, 2}});
  launch(device, op::activation_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 2}});
  launch(device, op::attention_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 6}});
  launch(device, op::sum_of_squares<float>{{}, sum});
  CHECK(given.same_bits(untouched));
}

TEST_CASE("a failure of oneDNN is one sentence") {
  CHECK_THROWS_WITH_AS(detail::cpu::check_product(false),
                       doctest::Contains("radapt: oneDNN could not multiply matrices: expected status 0"), error);
}

TEST_CASE("products with constant weights are those with plain ones, from copies that are made once") {
  // Rows: one, the tokens of an image, a number with a tail, and more than packed weights are used for.
  constexpr Index in = 70, out = 133;
  radapt::Random random(1);
  std::vector<float> weight(out * in), bias(out);
  for (float& w : weight) { w = static_cast<float>(random.normal()); }
  for (float& b : bias) { b = static_cast<float>(random.normal()); }
  onednn plain, packed;
  packed.promise_constant(weight.data(), weight.size());
  for (const Index rows : {Index{1}, Index{50}, Index{63}, PackedWeights::most_rows + 1}) {
    std::vector<float> x(rows * in), expected(rows * out), y(rows * out, NAN);
    for (float& v : x) { v = static_cast<float>(random.normal()); }
    const auto run_on = [&](onednn& device, std::vector<float>& to) {
      launch(device, op::linear_forward<float>{.y = {to.data(), rows, out},
                                               .x = {x.data(), rows, in},
                                               .weight = {weight.data(), out, in},
                                               .bias = {bias.data(), out}});
    };
    run_on(plain, expected);
    run_on(packed, y);
    // 70 products of numbers around one, summed in another order.
    CHECK(radapt_test::normalised_error(y, expected) < 1e-6);
    CHECK(radapt_test::Allocations::of([&] { run_on(packed, y); }) == 0);
  }
}

TEST_CASE("packed weights are the numbers of the first product: a broken promise shows") {
  std::vector<float> weight{2}, x{3}, y(1);
  const auto run_on = [&](onednn& device) {
    launch(device, op::linear_forward<float>{{y.data(), 1, 1}, {x.data(), 1, 1}, {weight.data(), 1, 1}});
    return y[0];
  };
  onednn promised, free;
  promised.promise_constant(weight.data(), weight.size());
  CHECK(run_on(promised) == 6.0F);
  weight[0] = 5;
  CHECK(run_on(promised) == 6.0F);
  CHECK(run_on(free) == 15.0F);
}
