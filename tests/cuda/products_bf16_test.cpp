/// The CUDA backend whose products are of bf16 factors, as the oneDNN one is tested.
#include <doctest/doctest.h>

#include "cases/bf16_products.hpp"
#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/reference/all.hpp"

using namespace radapt_test::bf16_products;

TEST_CASE("cuda: products of factors that are bf16 are those of the reference, summed and left in float") {
  cuda_bf16 device;
  reference exact;
  std::vector<LinearSize> all = sizes();
  all.push_back({300, 140, 260});  // several tiles in every direction, with tails
  all.push_back({1100, 40, 24});   // the gradient of a weight is cut into two parts
  for (const LinearSize& size : all) {
    INFO(size.title());
    const Problem problem(size, true);
    CHECK(worst_error(problem.on<float>(device), problem.on<double>(exact)) <= radapt_test::sum_tolerance.f32);
  }
}

TEST_CASE("cuda: other factors are rounded to bf16, and equal calls give equal bits") {
  const Problem problem({130, 65, 71}, false);
  reference exact;
  cuda_bf16 device;
  const auto first = problem.on<float>(device), second = problem.on<float>(device);
  const double error = worst_error(first, problem.on<double>(exact));
  // Both factors are off by 2^-9 at most, in random directions: less than 2^-8 of the largest sum. Far more than f32.
  CHECK(error <= 0x1p-8);
  CHECK(error >= 1e-4);
  CHECK(first.y == second.y);
  CHECK(first.dx == second.dx);
  CHECK(first.dw == second.dw);
}
