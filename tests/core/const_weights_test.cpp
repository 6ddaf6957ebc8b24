/// Weights that are only read: whose memory they are, and where it lies.
#include "radapt/core/const_weights.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace {

using namespace radapt;

struct Model {
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<2, 3>, role::backbone> weight;
    Slot<Shape<4>, role::backbone> bias;
    Slot<Shape<5>, role::norm> shift;
    Slot<Shape<7>, role::norm> scale;
    static constexpr void each(auto&& f, auto&... t) {
      f("weight", t.weight...);
      f("bias", t.bias...);
      f("shift", t.shift...);
      f("scale", t.scale...);
    }
  };
};
struct Head {
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<dynamic, 3>, role::head> weight;
    static constexpr void each(auto&& f, auto&... t) { f("weight", t.weight...); }
  };
};

template <class M>
Weights<M> numbered(Index classes = 1) {
  Weights<M> weights(classes);
  for (Index i = 0; i < weights.buffer().size(); ++i) { weights.buffer()[i] = static_cast<float>(i); }
  return weights;
}

}  // namespace

TEST_CASE("a view of weights reads them where they are") {
  auto weights = numbered<Model>();
  const ConstWeights<Model> view = weights;
  CHECK(view.tree().shift.data == weights.tree().shift.data);
  *weights.tree().shift.data = -3;
  CHECK(*view.tree().shift.data == -3);
  const auto all = view.tensors();
  const auto originals = weights.tensors();
  REQUIRE(all.size() == originals.size());
  for (Index k = 0; k < all.size(); ++k) {
    CHECK(all[k].name() == originals[k].name());
    CHECK(all[k].data == originals[k].data);
  }
  REQUIRE(view.ranges().size() == 1);
  CHECK(view.ranges()[0].begin == weights.buffer().data());
  CHECK(view.ranges()[0].elements == weights.buffer().size());
  CHECK_FALSE(view.ranges()[0].in_file);
}

TEST_CASE("the number of classes is that of the weights") {
  const auto weights = numbered<Head>(11);
  const ConstWeights<Head> view = weights;
  CHECK(view.classes() == 11);
  CHECK(view.tree().weight.size() == 33);
  const auto copy = view.copy();
  CHECK(copy.classes() == 11);
  CHECK(std::equal(copy.tree().weight.data, copy.tree().weight.data + 33, weights.tree().weight.data));
}

TEST_CASE("weights that are given away are kept, by every copy") {
  auto weights = numbered<Model>();
  const float* const memory = weights.buffer().data();
  std::optional<ConstWeights<Model>> first(std::move(weights));
  const ConstWeights<Model> second = *first;
  first.reset();
  CHECK(second.ranges()[0].begin == memory);
  CHECK(second.tree().scale.data[6] == numbered<Model>().tree().scale.data[6]);
}

TEST_CASE("weights that are no more are not read") {
  static_assert(!std::is_constructible_v<ConstWeights<Model>, const Weights<Model>>);
  static_assert(std::is_constructible_v<ConstWeights<Model>, Weights<Model>>);
  Weights<Model> weights;
  const Weights<Model> moved = std::move(weights);
  CHECK_THROWS_WITH_AS(ConstWeights<Model>{weights}, doctest::Contains("got weights that were moved away"),
                       radapt::error);
}

TEST_CASE("a copy is equal and its own") {
  const auto weights = numbered<Model>();
  const auto copy = ConstWeights<Model>(weights).copy();
  for (const auto& tensor : copy.tensors()) {
    const auto original = weights.tensor(tensor.name());
    CHECK(std::equal(tensor.data, tensor.data + tensor.size(), original.data, original.data + original.size()));
  }
  CHECK(copy.buffer().data() != weights.buffer().data());
}

TEST_CASE("tensors may lie anywhere: ranges are what touches and is of one kind, by address") {
  // In a file: scale, shift, bias, one behind the other, and elsewhere in it the weight.
  const auto weights = numbered<Model>();
  std::vector<float> file(7 + 5 + 4 + 100 + 6);
  const auto& from = weights.tree();
  float *const scale = file.data(), *const shift = scale + 7, *const bias = shift + 5, *const weight = bias + 104;
  std::copy(from.scale.data, from.scale.data + 7, scale);
  std::copy(from.shift.data, from.shift.data + 5, shift);
  std::copy(from.bias.data, from.bias.data + 4, bias);
  std::copy(from.weight.data, from.weight.data + 6, weight);
  const std::vector<const float*> places{weight, bias, shift, scale};
  struct Expected {
    const float* begin;
    Index elements;
    bool in_file;
  };
  const auto check = [&](const std::vector<bool>& in_file, const std::vector<Expected>& expected) {
    const ConstWeights<Model> scattered(places, in_file, nullptr);
    for (const auto& tensor : scattered.tensors()) {
      const auto original = weights.tensor(tensor.name());
      CHECK(std::equal(tensor.data, tensor.data + tensor.size(), original.data, original.data + original.size()));
    }
    for (Index k = 0; k < places.size(); ++k) { CHECK(scattered.in_file(places[k]) == in_file[k]); }
    CHECK_FALSE(scattered.in_file(file.data() + 16));  // between two ranges
    CHECK(scattered.bytes() == (7 + 5 + 4 + 6) * sizeof(float));
    REQUIRE(scattered.ranges().size() == expected.size());
    for (Index k = 0; k < expected.size(); ++k) {
      CHECK(scattered.ranges()[k].begin == expected[k].begin);
      CHECK(scattered.ranges()[k].elements == expected[k].elements);
      CHECK(scattered.ranges()[k].in_file == expected[k].in_file);
    }
  };
  check({true, true, true, true}, {{scale, 16, true}, {weight, 6, true}});
  check({true, true, false, true}, {{scale, 7, true}, {shift, 5, false}, {bias, 4, true}, {weight, 6, true}});
}

TEST_CASE("weights are the same where every tensor is, in one place or two") {
  const auto weights = numbered<Model>();
  auto others = numbered<Model>();
  const ConstWeights<Model> a = weights, b = others;
  CHECK(same_weights(a, a));
  CHECK(same_weights(a, b));
  others.tree().scale.data[6] = 0;
  CHECK_FALSE(same_weights(a, b));
  const auto two = numbered<Head>(2), three = numbered<Head>(3);
  CHECK_FALSE(same_weights(ConstWeights<Head>(two), ConstWeights<Head>(three)));
  CHECK(a.bytes() == weights.buffer().size() * sizeof(float));
}

TEST_CASE("a device that wants to know is told of every range, and whether it lies in a file") {
  const auto weights = numbered<Model>();
  const auto& tree = weights.tree();
  const std::vector<const float*> places{tree.weight.data, tree.bias.data, tree.shift.data, tree.scale.data};
  const ConstWeights<Model> scattered(places, {false, true, false, true}, nullptr);
  struct {
    Index elements = 0, in_file = 0;
    void promise_constant(const float*, Index n, bool is_in_file) { (is_in_file ? in_file : elements) += n; }
  } told;
  promise_constant(told, scattered);
  CHECK(told.elements == 6 + 5);
  CHECK(told.in_file == 4 + 7);
  struct {
    Index elements = 0;
    void promise_constant(const float*, Index n) { elements += n; }
  } without_files;
  promise_constant(without_files, scattered);
  CHECK(without_files.elements == 22);
  struct {
  } deaf;
  promise_constant(deaf, scattered);
}
