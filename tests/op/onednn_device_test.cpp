/// What a device of the oneDNN backend does beside its kernels.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "cases/blocks.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"

namespace {
using namespace radapt;

/// Whole pages of floats that stand for those of a mapped file: given back they come again as zeros, which shows that
/// they were.
class Pages {
 public:
  static Index floats_each() { return static_cast<Index>(::sysconf(_SC_PAGESIZE)) / sizeof(float); }
  explicit Pages(Index count) : bytes_(count * floats_each() * sizeof(float)) {
    void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    memory_ = static_cast<float*>(memory);
    std::fill(begin(), end(), 1.0F);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(memory_, bytes_); }
  float* begin() { return memory_; }
  float* end() { return memory_ + size(); }
  Index size() const { return bytes_ / sizeof(float); }

 private:
  Index bytes_;
  float* memory_ = nullptr;
};

}  // namespace

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

TEST_CASE("memory is constant where it was promised, and nowhere else") {
  std::vector<float> memory(100);
  const float* const m = memory.data();
  detail::cpu::ConstantMemory constant;
  CHECK_FALSE(constant.covers(m));
  constant.promise(m + 50, 10, false);
  constant.promise(m + 20, 5, true);
  constant.promise(m + 60, 1, true);
  const auto covered = [&](Index i) { return (i >= 20 && i < 25) || (i >= 50 && i < 61); };
  for (Index i = 0; i < memory.size(); ++i) { CHECK(constant.covers(m + i) == covered(i)); }
}

TEST_CASE("pages of a file are given back once they were copied, whole ones and no others") {
  Pages in_file(8), elsewhere(8);
  const Index page = Pages::floats_each();
  detail::cpu::ConstantMemory constant;
  constant.promise(in_file.begin(), in_file.size(), true);
  constant.promise(elsewhere.begin(), elsewhere.size(), false);
  constant.copied(in_file.begin() + page / 2, 3 * page);      // the second and third page lie in it as a whole
  constant.copied(in_file.begin() + 5 * page + 1, page - 2);  // none
  constant.copied(elsewhere.begin(), elsewhere.size());
  for (Index i = 0; i < in_file.size(); ++i) {
    const bool given_back = i >= page && i < 3 * page;
    if ((in_file.begin()[i] == 0) != given_back) { FAIL_CHECK("element " << i << " is " << in_file.begin()[i]); }
  }
  CHECK(std::all_of(elsewhere.begin(), elsewhere.end(), [](float x) { return x == 1; }));
}

TEST_CASE_TEMPLATE("a matrix in a file that has a packed copy takes no pages", Device, onednn, onednn_bf16) {
  using A = activation_t<Device, float>;
  const Index out = 64, in = Pages::floats_each() / 16, rows = 3;
  Pages weight(4);
  REQUIRE(weight.size() == out * in);
  std::vector<A> x(rows * in, A(1.0F)), y(rows * out);
  Device device;
  device.promise_constant(weight.begin(), weight.size(), true);
  for (int time = 0; time < 2; ++time) {
    std::fill(y.begin(), y.end(), A(0.0F));
    launch(device, op::linear_forward<A>{
                       .y = {y.data(), rows, out}, .x = {x.data(), rows, in}, .weight = {weight.begin(), out, in}});
    // Sums of ones: exact in bf16, too. The second time from the copy alone.
    CHECK(std::all_of(y.begin(), y.end(), [&](A v) { return static_cast<float>(v) == static_cast<float>(in); }));
    CHECK(std::all_of(weight.begin(), weight.end(), [](float w) { return w == 0; }));
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
