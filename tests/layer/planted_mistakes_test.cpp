/// The gradient checker finds what it is there for: a small layer with one mistake at a time.
#include <algorithm>
#include <string>

#include "layer/check.hpp"
#include "radapt/layer/linear.hpp"

using namespace radapt;

namespace {

enum class Mistake {
  none,
  dw_has_the_wrong_sign,
  dw_is_assigned,
  dw_is_one_element_short,
  dx_has_the_wrong_factor,
  dx_is_added,
  y_is_one_row_short,
  forward_writes_behind_y,
  backward_writes_behind_dw,
  x_is_overwritten,
  a_parameter_is_overwritten,
  dy_is_overwritten,
  scratch_is_read_before_it_is_written,
  scratch_is_left_out_of_the_plan,
  scratch_of_backward_is_left_out_of_the_plan,
  kept_bytes_are_left_out_of_the_plan,
  plan_asks_for_too_much,
  training_differs_from_inference,
  writes_behind_its_scratch,
  backward_fails,
};

/// y = x * scale, one factor for each column; twice the buffers that it would need.
template <Mistake M, class Role = role::backbone>
struct Scale : layer_defaults {
  static constexpr Index columns = 3;
  static constexpr auto name = "scale";
  static constexpr Index input_width = columns;
  template <class X>
  using output = typename maps_width<X, columns, columns>::type;
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<columns>, Role> scale;
    static constexpr void each(auto&& f, auto&... t) { f("scale", t.scale...); }
  };
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  template <class T, class X, class, bool>
  struct SavedFactors {
    View<T, X> factors;
    static constexpr void each([[maybe_unused]] auto&& f, [[maybe_unused]] auto&... s) {
      if constexpr (M != Mistake::kept_bytes_are_left_out_of_the_plan) { (f(s.factors), ...); }
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedFactors<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    if constexpr (M == Mistake::scratch_is_left_out_of_the_plan) { return 0; }
    return bytes_of<T, X>(e) * (M == Mistake::plan_asks_for_too_much ? 2 : 1);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return M == Mistake::scratch_of_backward_is_left_out_of_the_plan ? 0 : bytes_of<T, X>(e);
  }

  template <class T, class X, class S>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, S& saved) {
    const Arena::Mark before = c.arena.mark();
    if constexpr (is_saved<S>) { saved.factors = c.arena.template keep<T, X>(x.rows); }
    const auto product = c.arena.template scratch<T, X>(x.rows);
    for (Index i = 0; i < x.size(); ++i) {
      product.data[i] = x.data[i] * p.scale.data[i % columns];
      if constexpr (is_saved<S>) { saved.factors.data[i] = p.scale.data[i % columns]; }
    }
    if constexpr (M == Mistake::scratch_is_read_before_it_is_written) { product.data[0] = product.data[x.size()]; }
    if constexpr (M == Mistake::writes_behind_its_scratch) { product.data[x.size() + 8] = 1; }
    const Index rows = M == Mistake::y_is_one_row_short ? x.rows - 1 : x.rows;
    for (Index i = 0; i < rows * columns; ++i) { y.data[i] = product.data[i]; }
    if constexpr (M == Mistake::training_differs_from_inference && is_saved<S>) { y.data[0] *= 1.0001; }
    if constexpr (M == Mistake::forward_writes_behind_y) { y.data[y.size()] = 1; }
    if constexpr (M == Mistake::x_is_overwritten) { const_cast<T*>(x.data)[1] = 0; }
    if constexpr (M == Mistake::a_parameter_is_overwritten) { p.scale.data[1] = 0; }
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto&, auto& g, [[maybe_unused]] auto x, auto, const auto& saved,
                       View<const T, X> dy, auto dx) {
    if constexpr (M == Mistake::backward_fails) { fail({.what = "scale", .got = "no such thing"}); }
    const Arena::Mark before = c.arena.mark();
    const auto product = c.arena.template scratch<T, X>(dy.rows);
    if constexpr (wanted<decltype(g.scale)>) {
      const Index n = M == Mistake::dw_is_one_element_short ? columns - 1 : columns;
      if constexpr (M == Mistake::dw_is_assigned) { std::fill_n(g.scale.data, n, 0.0); }
      for (Index i = 0; i < dy.size(); ++i) { product.data[i] = dy.data[i] * x.data[i]; }
      for (Index i = 0; i < dy.size(); ++i) {
        if (i % columns < n) {
          g.scale.data[i % columns] += M == Mistake::dw_has_the_wrong_sign ? -product.data[i] : product.data[i];
        }
      }
      if constexpr (M == Mistake::backward_writes_behind_dw) { g.scale.data[columns] += 1; }
    }
    if constexpr (wanted<decltype(dx)>) {
      const T factor = M == Mistake::dx_has_the_wrong_factor ? T(1.001) : T(1);
      for (Index i = 0; i < dy.size(); ++i) {
        const T value = factor * dy.data[i] * saved.factors.data[i];
        if constexpr (M == Mistake::dx_is_added) {
          dx.data[i] += value;
        } else {
          dx.data[i] = value;
        }
      }
    }
    if constexpr (M == Mistake::dy_is_overwritten) { const_cast<T*>(dy.data)[0] = 0; }
    c.arena.release_scratch(before);
  }
};

/// Every finding about the layer, joined.
template <Mistake M>
std::string findings() {
  const test::Report report = test::check_layer<Scale<M>, Tokens<3>>();
  CHECK(report.ok() == report.findings().empty());
  std::string all;
  for (const std::string& finding : report.findings()) { all += finding + "\n"; }
  return all;
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// The checker finds the mistake, and its report says so in these words.
template <Mistake M>
void finds(const char* words) {
  const std::string found = findings<M>();
  CHECK_MESSAGE(has(found, words), "mistake ", static_cast<int>(M), ", '", words, "' is not in:\n", found);
}

}  // namespace

TEST_CASE("a layer without a mistake passes") { CHECK(findings<Mistake::none>().empty()); }

TEST_CASE("wrong gradients are found, and called by the tensor's name") {
  finds<Mistake::dw_has_the_wrong_sign>("uniform batch, tune::everything, dx: scale, along a random direction");
  finds<Mistake::dw_is_assigned>("packed batch, tune::everything, no dx: scale, along a random direction");
  finds<Mistake::dw_is_one_element_short>("scale, along a random direction");
  finds<Mistake::dx_has_the_wrong_factor>("uniform batch, tune::nothing, dx: dx, along a single element");
  finds<Mistake::dx_is_added>("dx: backward must assign every element, and not add to it");
  const std::string only_dx = findings<Mistake::dx_has_the_wrong_factor>();
  CHECK_FALSE(has(only_dx, "scale,"));
}

TEST_CASE("writing where a layer may not write is found") {
  finds<Mistake::y_is_one_row_short>("forward must write every element of y");
  finds<Mistake::forward_writes_behind_y>("forward, inference: nothing may be written beside x, y and dy");
  finds<Mistake::backward_writes_behind_dw>("backward must not write between the gradients of two tensors");
  finds<Mistake::x_is_overwritten>("forward, inference: x must not change");
  finds<Mistake::a_parameter_is_overwritten>("forward, inference: parameters must not change");
  finds<Mistake::dy_is_overwritten>("backward must not write to y or dy");
  finds<Mistake::writes_behind_its_scratch>("nothing may be written behind the memory that was taken");
}

TEST_CASE("plans that do not fit are found, with their bytes") {
  // 15 rows of 3 doubles are 360 bytes, which an arena rounds up to 384.
  finds<Mistake::scratch_is_left_out_of_the_plan>(
      "forward, inference: the plan says 0 bytes of scratch, taken were 384");
  finds<Mistake::scratch_of_backward_is_left_out_of_the_plan>(
      "backward: the plan says 0 bytes of scratch, taken were 384");
  finds<Mistake::kept_bytes_are_left_out_of_the_plan>("forward, training: the plan says 0 bytes kept, taken were 384");
  finds<Mistake::plan_asks_for_too_much>("forward, training: the plan says 768 bytes of scratch, taken were 384");
}

TEST_CASE("what else can go wrong is found") {
  finds<Mistake::scratch_is_read_before_it_is_written>("forward must write every element of y, and no NaN");
  finds<Mistake::training_differs_from_inference>("forward must give the same y in training and in inference");
  finds<Mistake::backward_fails>("uniform batch, tune::nothing, dx: radapt: scale: got no such thing");
}

TEST_CASE("a report says how much was compared") {
  const test::Report report = test::check_layer<Scale<Mistake::none>, Tokens<3>>();
  CHECK(report);
  CHECK(report.checks() > 100);
  CHECK(report.largest_error() > 0);
  CHECK(report.largest_error() < 1e-10);
  CHECK(report.text().starts_with("scale: " + std::to_string(report.checks()) + " checks, 0 failed"));
  CHECK_FALSE(test::Report("nothing"));  // nothing was checked
}
