/// Owned weights: copies, other element types, and moving tensors between models by name.
#include "radapt/core/weights.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "radapt/core/copy.hpp"

namespace {

using namespace radapt;

template <Index Width, bool HasBias>
struct Model {
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<dynamic, Width>, role::head> weight;
    Slot<Shape<Width>, role::norm> shift;
    static constexpr void each(auto&& f, auto&... t) {
      f("weight", t.weight...);
      f(HasBias ? "bias" : "shift", t.shift...);
    }
  };
};
using Shifted = Model<3, false>;
using Biased = Model<3, true>;
using Wide = Model<5, false>;

/// Every element is its position in the buffer.
template <class M, class T>
void number(Weights<M, T>& w) {
  for (Index i = 0; i < w.buffer().size(); ++i) { w.buffer()[i] = static_cast<T>(i) + T(0.1); }
}

static_assert(!std::is_convertible_v<Weights<Shifted>, Weights<Biased>>);
static_assert(!std::is_convertible_v<Weights<Shifted, double>, Weights<Shifted, float>>);

TEST_CASE("weights begin as zeros, with the extent that the data gives") {
  const Weights<Shifted> w(4);
  CHECK(w.classes() == 4);
  CHECK(w.buffer().size() == 16 + 16);
  CHECK(w.tree().weight.size() == 12);
  CHECK(w.tree().shift.data == w.buffer().data() + 16);
  CHECK(std::all_of(w.buffer().begin(), w.buffer().end(), [](float x) { return x == 0; }));
}

TEST_CASE("a copy has memory of its own, a move keeps it") {
  Weights<Shifted> w(4);
  number(w);
  Weights<Shifted> copy = w;
  CHECK(copy.buffer().data() != w.buffer().data());
  CHECK(copy.tree().shift.data == copy.buffer().data() + 16);
  CHECK(copy.tree().shift.data[2] == w.tree().shift.data[2]);
  copy.tree().shift.data[2] = -1;
  CHECK(w.tree().shift.data[2] == 18.1F);

  Weights<Shifted> assigned(1);
  assigned = w;
  CHECK(assigned.classes() == 4);
  CHECK(assigned.tree().weight.data[11] == 11.1F);
  CHECK(assigned.tree().weight.data == assigned.buffer().data());
  Weights<Shifted>& same = assigned;
  assigned = same;
  CHECK(assigned.tree().weight.data[11] == 11.1F);

  const float* const data = w.buffer().data();
  const Weights<Shifted> moved = std::move(w);
  CHECK(moved.buffer().data() == data);
  CHECK(moved.tree().weight.data == data);
  CHECK_FALSE(moved.moved_away());
  CHECK(w.moved_away());  // NOLINT: what is left of it is the question
  CHECK(w.tree().weight.data == nullptr);
  w = moved;
  CHECK(w.tree().weight.data[11] == 11.1F);
}

template <class W>
concept has_tensors = requires {
  std::declval<W>().tensors();
};
template <class W>
concept has_tensor = requires {
  std::declval<W>().tensor("weight");
};
static_assert(has_tensors<Weights<Shifted>&> && has_tensor<const Weights<Shifted>&>);
// They would point into weights that are gone.
static_assert(!has_tensors<Weights<Shifted>> && !has_tensor<Weights<Shifted>> && !has_tensor<const Weights<Shifted>>);

TEST_CASE("weights of other sizes are not copied") {
  Weights<Shifted> two(2), three(3);
  Weights<Shifted, double> wide(3);
  CHECK_THROWS_WITH_AS(two.copy_from(three),
                       doctest::Contains("expected weights of 2 classes on both sides, got 3 classes"), error);
  CHECK_THROWS_AS(two.copy_from(wide), error);
  const Weights<Shifted> moved = std::move(three);
  CHECK_THROWS_WITH_AS(wide.copy_from(three), doctest::Contains("got weights that were moved away"), error);
}

TEST_CASE("copying to another element type rounds") {
  Weights<Shifted, double> wide(2);
  number(wide);
  Weights<Shifted, float> narrow(2);
  narrow.copy_from(wide);
  CHECK(narrow.tree().weight.data[3] == static_cast<float>(3.1));
  CHECK(narrow.buffer()[6] == 0);  // between the tensors nothing is copied
}

TEST_CASE("tensors move between models by name") {
  Weights<Shifted, double> from(4);
  number(from);
  Weights<Biased> to(4);
  CHECK(copy_by_name(to, from) == 1);
  CHECK(to.tree().weight.data[5] == 5.1F);
  CHECK(to.tree().shift.data[0] == 0);  // called `bias` there
  Weights<Shifted> same(4);
  CHECK(copy_by_name(same, from) == 2);

  Weights<Wide> wide(4);
  CHECK_THROWS_WITH_AS(copy_by_name(wide, from),
                       doctest::Contains("copying tensor 'weight' between models: expected 20 elements, got 12"),
                       error);
  Weights<Shifted> more(5);
  CHECK_THROWS_AS(copy_by_name(more, from), error);
}

}  // namespace
