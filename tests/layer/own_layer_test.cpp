/// The layer of docs/add-a-layer.md as a user writes it, in a namespace of its own with operations of its own, and the
/// checker on it.
#include "layer/check.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/sequential.hpp"

namespace mine {

using radapt::Index;

/// y = x * scale, one factor for each column; the gradient by x is the same operation on dy.
template <class T>
struct scale_columns {
  static constexpr auto name = "scale_columns";
  radapt::Matrix<T> y;
  radapt::Matrix<const T> x;
  radapt::Vector<const T> scale;
};
/// dscale += sum over rows of dy * x.
template <class T>
struct scale_columns_backward_scale {
  static constexpr auto name = "scale_columns_backward_scale";
  radapt::Vector<T> dscale;
  radapt::Matrix<const T> dy, x;
};
template <class T>
void launch(radapt::reference&, const scale_columns<T>& o) {
  for (Index i = 0; i < o.x.size(); ++i) { o.y.data[i] = o.x.data[i] * o.scale.data[i % o.scale.size]; }
}
template <class T>
void launch(radapt::reference&, const scale_columns_backward_scale<T>& o) {
  for (Index i = 0; i < o.x.size(); ++i) { o.dscale.data[i % o.dscale.size] += o.dy.data[i] * o.x.data[i]; }
}

/// y = x * scale, one factor for each column.
template <Index Width, class Role = radapt::role::backbone>
struct Scale : radapt::layer_defaults {
  static constexpr auto name = "scale";
  static constexpr Index input_width = Width;
  template <class X>
  using output = typename radapt::maps_width<X, Width, Width>::type;
  template <template <class, class> class Slot>
  struct Params {
    Slot<radapt::Shape<Width>, Role> scale;  // (Width)
    static constexpr void each(auto&& f, auto&... t) { f("scale", t.scale...); }
  };
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  template <class T, class X>
  static void forward(auto& c, const auto& p, radapt::View<const T, X> x, radapt::View<T, X> y, auto&) {
    run(c, scale_columns<T>{.y = y, .x = x, .scale = p.scale});
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto&, radapt::View<const T, X> dy,
                       auto dx) {
    if constexpr (radapt::wanted<decltype(g.scale)>) {
      run(c, scale_columns_backward_scale<T>{.dscale = g.scale, .dy = dy, .x = x});
    }
    if constexpr (radapt::wanted<decltype(dx)>) { run(c, scale_columns<T>{.y = dx, .x = dy, .scale = p.scale}); }
  }
};

}  // namespace mine

using namespace radapt;

TEST_CASE("a layer of one's own") { radapt_test::passes<mine::Scale<8>, Tokens<8>>(); }
TEST_CASE("a layer of one's own between ours") {
  using Chain =
      Sequential<Named<"in", Linear<3, 4>>, Named<"mine", mine::Scale<4, role::adapter>>, Named<"out", Linear<4, 2>>>;
  radapt_test::passes<Chain, Samples<3>, tune::only<role::adapter>>();
}
