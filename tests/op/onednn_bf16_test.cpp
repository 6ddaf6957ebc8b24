/// The backend whose products are of bf16 factors: what is rounded, what is not, and the f32 backend where a processor
/// cannot multiply bf16.
#include <doctest/doctest.h>

#include "cases/bf16_products.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"

namespace {

using namespace radapt_test::bf16_products;

bool can_run() {
  if (!onednn_bf16::multiplies_bf16()) { MESSAGE("not run: this processor does not multiply bf16"); }
  return onednn_bf16::multiplies_bf16();
}

}  // namespace

TEST_CASE("products of factors that are bf16 are those of the reference, summed and left in float") {
  if (!can_run()) { return; }
  for (const LinearSize& size : sizes()) {
    INFO(size.title());
    const Problem problem(size, true);
    reference exact;
    const auto expected = problem.on<double>(exact);
    for (const bool constant : {false, true}) {
      onednn_bf16 device;
      const auto got = problem.on<float>(device, constant);
      CHECK(worst_error(got, expected) <= radapt_test::sum_tolerance.f32);
    }
  }
}

TEST_CASE("other factors are rounded to bf16") {
  if (!can_run()) { return; }
  const Problem problem({130, 65, 71}, false);
  reference exact;
  onednn_bf16 device;
  const double error = worst_error(problem.on<float>(device), problem.on<double>(exact));
  // Both factors are off by 2^-9 at most, in random directions: less than 2^-8 of the largest sum. Far more than f32.
  CHECK(error <= 0x1p-8);
  CHECK(error >= 1e-4);
}

TEST_CASE("packed weights give the bits of rounded ones, and equal calls equal bits") {
  const Problem problem({130, 65, 71}, false);
  onednn_bf16 device, again, packing;
  const auto first = problem.on<float>(device), second = problem.on<float>(again);
  CHECK(first.y == second.y);
  CHECK(first.dx == second.dx);
  CHECK(first.dw == second.dw);
  // Sums over 65 and 71 numbers may be taken in another order.
  CHECK(worst_error(problem.on<float>(packing, true), first) <= radapt_test::sum_tolerance.f32);
}

TEST_CASE("without bf16 in the processor the products are those of the f32 backend") {
  if (onednn_bf16::multiplies_bf16()) {
    MESSAGE("not run: this processor multiplies bf16");
    return;
  }
  const Problem problem({130, 65, 71}, false);
  onednn_bf16 device;
  onednn plain;
  CHECK(problem.on<float>(device).y == problem.on<float>(plain).y);
}
