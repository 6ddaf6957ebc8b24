/// Parameter trees: one declaration, many trees; names; roles and the policies that choose among them.
#include "radapt/core/tree.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <vector>

#include "radapt/core/weights.hpp"

namespace {

using namespace radapt;
using Names = std::vector<std::string>;

/// Three tensors: a matrix, a scalar and a head whose first extent is data.
struct Leaf {
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<2, 3>, role::backbone> weight;
    Slot<Shape<>, role::norm> scale;
    Slot<Shape<dynamic, 3>, role::in<role::head, role::tower::image>> head;
    static constexpr void each(auto&& f, auto&... t) {
      f("weight", t.weight...);
      f("scale", t.scale...);
      f("head", t.head...);
    }
  };
};
/// A tree of two leaves, one of which adds no step to the names and one whose label is open-ended.
struct Tree {
  template <template <class, class> class Slot>
  struct Params {
    typename Leaf::Params<Slot> a, b;
    static constexpr void each(auto&& f, auto&... t) {
      f("", t.a...);
      f(Label(7), t.b...);
    }
  };
};

// Shapes.
static_assert(Shape<2, 3>::size() == 6 && Shape<>::size() == 1 && Shape<dynamic, 3>::size(5) == 15);
static_assert(Shape<4, 3, 2>::matrix_rows() == 4 && Shape<4, 3, 2>::matrix_columns() == 6);
static_assert(Shape<4>::matrix_rows() == 1 && Shape<4>::matrix_columns() == 4 && !Shape<4>::has_dynamic);
static_assert(Shape<dynamic, 3>::has_dynamic && Shape<dynamic, 3>::extent(0, 5) == 5 && Shape<>::matrix_columns() == 1);

// Roles answer to their own name, to their tower's, to both, and to role::unlocked in an unlocked block.
using Deep = role::in<role::in_unlocked_block<role::norm>, role::tower::text>;
static_assert(role::answers_to<role::norm, role::norm> && !role::answers_to<role::norm, role::head>);
static_assert(role::answers_to<Deep, role::norm> && role::answers_to<Deep, role::unlocked>);
static_assert(role::answers_to<Deep, role::tower::text> && !role::answers_to<Deep, role::tower::image>);
static_assert(role::answers_to<Deep, Deep> && !role::answers_to<role::norm, role::unlocked>);

// Policies.
using tune::both;
using tune::except;
using tune::only;
static_assert(only<role::norm>::trains<Deep> && !except<role::norm>::trains<Deep>);
static_assert(only<role::head, role::norm>::trains<Deep> && !only<role::head>::trains<Deep>);
static_assert(both<only<role::norm>, only<role::tower::text>>::trains<Deep>);
static_assert(!both<only<role::norm>, only<role::tower::image>>::trains<Deep>);
static_assert(tune::everything::trains<Deep> && !tune::nothing::trains<Deep>);

// What a policy trains of a tree.
static_assert(trains_any<Tree, tune::everything> && !trains_any<Tree, tune::nothing>);
static_assert(trains_any<Tree, only<role::norm>> && !trains_any<Tree, only<role::adapter>>);
static_assert(count<Tree>(5) == 2 * (6 + 1 + 15) && count<Tree, only<role::norm>>() == 2);
static_assert(count<Tree, only<role::tower::image>>(4) == 2 * 12 && count<Tree, tune::nothing>() == 0);

// Leaves of a gradient tree are Frozen or the parameter's own kind.
using NormGradients = Gradients<Leaf, only<role::norm>, float>;
static_assert(std::is_same_v<decltype(NormGradients::weight), Frozen>);
static_assert(std::is_same_v<decltype(NormGradients::scale), Parameter<float, Shape<>>>);
static_assert(is_leaf<Frozen> && is_leaf<const Parameter<float, Shape<>>> && !is_leaf<Values<Leaf, float>>);

// Absence.
static_assert(!wanted<Discard> && !wanted<Dropped> && !wanted<const Frozen> && wanted<View<float, Tokens<3>>>);

TEST_CASE("names are joined from labels") {
  CHECK(join("", "visual") == "visual");
  CHECK(join("visual", "proj") == "visual.proj");
  CHECK(join("visual", "") == "visual");
  CHECK(join("resblocks", Label(11)) == "resblocks.11");
  CHECK(join("attn.in_proj_", "weight") == "attn.in_proj_weight");
}

TEST_CASE("a walk meets corresponding leaves of any number of trees, in order, with their names") {
  Values<Tree, float> values;
  Values<Tree, double> other;
  const Descriptions<Tree> descriptions{};
  float memory[200] = {};
  double wide[200] = {};
  bind(values, memory, 4);
  bind(other, wide, 4);
  Names names;
  each_named(
      [&]<class S, class R>(const std::string& name, const Description<S, R>&, Parameter<float, S>& a,
                            Parameter<double, S>& b) {
        names.push_back(name);
        CHECK(a.size() == b.size());
        CHECK(a.size() == S::size(4));
      },
      "", descriptions, values, other);
  CHECK(names == Names{"weight", "scale", "head", "7.weight", "7.scale", "7.head"});

  int leaves = 0;
  each([&](auto&) { ++leaves; }, values);
  CHECK(leaves == 6);
}

TEST_CASE("binding aligns every leaf, passes over frozen ones and counts without memory") {
  Values<Leaf, float> values;
  const Index elements = bind<float>(values, nullptr, 5);
  CHECK(elements == 16 + 16 + 16);
  CHECK(values.weight.data == nullptr);
  Buffer<float> memory(elements);
  CHECK(bind(values, memory.data(), 5) == elements);
  CHECK(values.weight.data == memory.data());
  CHECK(values.scale.data == memory.data() + 16);
  CHECK(values.head.data == memory.data() + 32);
  CHECK(values.head.size() == 15);

  NormGradients gradients;
  CHECK(bind<float>(gradients, nullptr, 5) == 16);
  bind(gradients, memory.data(), 5);
  CHECK(gradients.scale.data == memory.data());
}

TEST_CASE("kernels see matrices and vectors") {
  float memory[24] = {};
  const Parameter<float, Shape<dynamic, 3, 2>> p{memory, 4};
  const Matrix<const float> m = p;
  CHECK(m.rows == 4);
  CHECK(m.columns == 6);
  const Vector<float> v = p;
  CHECK(v.size == 24);
  CHECK(v);
  CHECK_FALSE(Vector<float>{});
  const View<float, Tokens<8>> view{memory, 3};
  const Matrix<float> rows = view;
  CHECK(rows.rows == 3);
  CHECK(rows.columns == 8);
  const View<const float, Tokens<8>> constant = view;
  CHECK(constant.size() == 24);
}

}  // namespace
