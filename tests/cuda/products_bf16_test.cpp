/// The CUDA backend whose products are of bf16 factors, as the oneDNN one is tested.
#include <doctest/doctest.h>

#include "cases/bf16_products.hpp"
#include "cases/reference_kernels.hpp"
#include "radapt/backend/cuda/all.hpp"

using namespace radapt_test::bf16_products;

namespace {

/// The sizes of the other backend, several tiles in every direction with tails, rows in whole packs, and a gradient of
/// a weight that is cut into two parts.
std::vector<LinearSize> sizes_of_tiles() {
  std::vector<LinearSize> all = sizes();
  for (const LinearSize& s : {LinearSize{300, 140, 260}, LinearSize{140, 136, 200}, LinearSize{1100, 40, 24}}) {
    all.push_back(s);
  }
  return all;
}

template <class T>
void check_rounded_factors() {
  const Problem problem({130, 72, 80}, false);
  reference exact;
  cuda_bf16 device;
  const auto first = problem.on<T>(device), second = problem.on<T>(device);
  const double error = worst_error(first, problem.on<double>(exact));
  // Both factors are off by 2^-9 at most, in random directions: less than 2^-8 of the largest sum. Far more than f32.
  // What is stored as bf16 is rounded once more, by 2^-8 at most.
  CHECK(error <= (sizeof(T) == 2 ? 2 : 1) * 0x1p-8);
  CHECK(error >= 1e-4);
  CHECK(first.dw == second.dw);
  for (const auto& [x, y] : {std::pair{&first.y, &second.y}, std::pair{&first.dx, &second.dx}}) {
    CHECK(std::equal(x->begin(), x->end(), y->begin(), y->end()));
  }
}

}  // namespace

TEST_CASE("cuda: products of factors that are bf16 are those of the reference, summed and left in float") {
  cuda_bf16 device;
  reference exact;
  for (const LinearSize& size : sizes_of_tiles()) {
    INFO(size.title());
    const Problem problem(size, true);
    CHECK(worst_error(problem.on<float>(device), problem.on<double>(exact)) <= radapt_test::sum_tolerance.f32);
  }
}

TEST_CASE("cuda: products of activations in bf16 are rounded once, and gradients of weights never") {
  cuda_bf16 device;
  reference exact;
  for (const LinearSize& size : sizes_of_tiles()) {
    INFO(size.title());
    const Problem problem(size, true);
    const auto r = problem.on<bf16>(device);
    const auto expected = problem.on<double>(exact);
    CHECK(worst_error(r, expected) <= radapt_test::sum_tolerance.of<bf16>());
    CHECK(radapt_test::normalised_error(r.dw, expected.dw) <= radapt_test::sum_tolerance.f32);
  }
}

TEST_CASE("cuda: other factors are rounded to bf16, and equal calls give equal bits") {
  check_rounded_factors<float>();
  check_rounded_factors<bf16>();
}

TEST_CASE("cuda: what dropped rows hold does not reach the gradient of a weight") {
  cuda_bf16 device;
  const radapt_test::Batch batch = radapt_test::uniform(3, 11);
  const std::vector<std::uint8_t> mask{1, 0, 1};
  const op::KeptRows kept{.mask = mask.data(), .sequences = batch.view()};
  constexpr Index rows = 33, in = 40, out = 24;
  const auto gradient = [&]<class T>(float dropped, T) {
    std::vector<T> x(rows * in), dy(rows * out);
    for (Index i = 0; i < x.size(); ++i) { x[i] = T(i / in / 11 == 1 ? dropped : 0.5F); }
    for (Index i = 0; i < dy.size(); ++i) { dy[i] = T(i / out / 11 == 1 ? dropped : 0.25F); }
    std::vector<float> dw(out * in);
    launch(device,
           op::linear_backward_weight<T>{
               .dw = {dw.data(), out, in}, .dy = {dy.data(), rows, out}, .x = {x.data(), rows, in}, .kept = kept});
    return dw;
  };
  const std::vector<float> expected(out * in, 22 * 0.5F * 0.25F);
  CHECK(gradient(NAN, float{}) == expected);
  CHECK(gradient(NAN, bf16{}) == expected);
}
