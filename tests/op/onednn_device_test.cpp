/// What a device of the oneDNN backend does beside its kernels.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "cases/blocks.hpp"
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
