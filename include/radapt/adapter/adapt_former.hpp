#pragma once
/// AdaptFormer (Chen et al., NeurIPS 2022; methods.md 7.6): a bottleneck beside each MLP, on what goes into its norm.
#include <cmath>

#include "radapt/adapter/site.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/dropout.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/sequential.hpp"

namespace radapt {

/// up(dropout(relu(down(x)))), to be added to the sub-layer's output s times.   x (tokens, Width) -> (tokens, Width).
/// Not linear, so it does not merge.
template <Index Width, Index Hidden, class Role, class ConstantRole>
struct AdaptFormerBranch
    : Sequential<Named<"down", Linear<Width, Hidden, Role>>, Relu, Dropout, Named<"up", Linear<Hidden, Width, Role>>> {
  using body =
      Sequential<Named<"down", Linear<Width, Hidden, Role>>, Relu, Dropout, Named<"up", Linear<Hidden, Width, Role>>>;
  static constexpr auto name = "adapt_former";

  template <template <class, class> class Slot>
  struct Params : body::template Params<Slot> {
    Slot<Shape<>, ConstantRole> scale;  // s ()
    static constexpr void each(auto&& f, auto&... t) {
      body::template Params<Slot>::each(f, t...);
      f("scale", t.scale...);
    }
  };

  /// down uniform in +-1 / sqrt(Width), which is Kaiming's with a = sqrt(5); up and all biases 0; s = 0.1.
  static void initialise(auto& p, Random& random) {
    auto& down = child<"down">(p);
    auto& up = child<"up">(p);
    using T = std::remove_reference_t<decltype(*down.weight.data)>;
    const double bound = 1.0 / std::sqrt(static_cast<double>(Width));
    for (Index i = 0; i < down.weight.size(); ++i) {
      down.weight.data[i] = static_cast<T>(random.uniform(-bound, bound));
    }
    for (Index i = 0; i < down.bias.size(); ++i) { down.bias.data[i] = 0; }
    for (Index i = 0; i < up.weight.size(); ++i) { up.weight.data[i] = 0; }
    for (Index i = 0; i < up.bias.size(); ++i) { up.bias.data[i] = 0; }
    *p.scale.data = T(0.1);
  }
};

/// The policy: a bottleneck of width Hidden beside each MLP of the chosen towers. TrainOptions::dropout is its dropout.
template <Index Hidden = 64, class Towers = both_towers>
struct AdaptFormer {
  template <class Site, Index D>
  using at = Identity;
  template <class Site, Index D>
  using beside = std::conditional_t<Towers::template has<typename Site::tower>,
                                    AdaptFormerBranch<D, Hidden, role::in<role::adapter, typename Site::tower>,
                                                      role::in<role::adapter_constant, typename Site::tower>>,
                                    Identity>;
};

}  // namespace radapt
