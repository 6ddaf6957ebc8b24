/// Weights that were promised to stay: the same bits, from a copy that is made once.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cases/bf16_products.hpp"
#include "radapt/backend/cuda/all.hpp"

using namespace radapt_test::bf16_products;

namespace {

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// A linear layer with an activation, of a weight that a test may change between calls.
struct Layer {
  static constexpr Index rows = 130, in = 72, out = 80;
  Buffer<float> weight{2 * out * in, cuda::memory()};  // and as many behind it
  Buffer<bf16> x{rows * in, cuda::memory()}, y{rows * out, cuda::memory()};

  Layer() {
    Random random(3);
    for (float& w : weight) { w = static_cast<float>(random.uniform(-1, 1)); }
    for (bf16& v : x) { v = bf16(static_cast<float>(random.uniform(-1, 1))); }
  }
  std::vector<bf16> operator()(cuda_bf16& device, Index first = 0) {
    launch(device, op::linear_activation_forward<bf16>{.y = {y.data(), rows, out},
                                                       .x = {x.data(), rows, in},
                                                       .weight = {weight.data() + first, out, in},
                                                       .kind = Activation::quick_gelu});
    device.synchronize();
    return {y.begin(), y.end()};
  }
};

}  // namespace

TEST_CASE("cuda_bf16: products have the same bits whether their weights were promised to stay or not") {
  std::vector<LinearSize> all = sizes();
  for (const LinearSize& s : {LinearSize{300, 140, 260}, LinearSize{140, 136, 200}}) { all.push_back(s); }
  for (const LinearSize& size : all) {
    INFO(size.title());
    const Problem problem(size, false);
    cuda_bf16 plain, promised;
    const auto a = problem.on<bf16>(plain), b = problem.on<bf16>(promised, true);
    CHECK(same_bits(a.y, b.y));
    CHECK(same_bits(a.dx, b.dx));
    CHECK(same_bits(a.dw, b.dw));
  }
  Layer layer;
  cuda_bf16 plain, promised;
  promised.promise_constant(layer.weight.data(), layer.weight.size());
  CHECK(same_bits(layer(plain), layer(promised)));
}

TEST_CASE("cuda_bf16: a promised weight is rounded once, and only where it was promised whole") {
  Layer layer;
  cuda_bf16 device;
  constexpr Index elements = Layer::out * Layer::in;
  device.promise_constant(layer.weight.data(), elements + 1);
  const auto first = layer(device), second = layer(device, elements);
  const Index taken = cuda::memory_taken();
  for (float& w : layer.weight) { w = -w; }  // a broken promise, to see what is read
  CHECK(same_bits(layer(device), first));
  CHECK_FALSE(same_bits(layer(device, elements), second));
  CHECK(cuda::memory_taken() == taken);
}
