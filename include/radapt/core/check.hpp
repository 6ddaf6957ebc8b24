#pragma once
/// Composition errors as sentences. Walks over a type return a reason; one place turns a reason into a message.
#include <type_traits>

#include "radapt/core/shape.hpp"

namespace radapt {

/// The reason type of a composition without a mistake.
struct fits {
  static constexpr bool ok = true;
};
template <Index N>
struct expected {};
template <Index N>
struct got {};

/// Layer `Layer` at position `Position` of a chain takes another width than its neighbour gives.
template <Index Position, class Layer, class Expected, class Got>
struct misfit {
  static constexpr bool ok = false;
};

/// Instantiating this asserts. A class template inherits it, so that the check must fire; the base class name carries
/// the reason into the compiler's message.
template <class Why>
struct check_layers {
  static constexpr bool every_layer_accepts_its_input = Why::ok;
  static_assert(
      every_layer_accepts_its_input,
      "radapt: two neighbouring layers do not fit. Read check_layers<misfit<position, layer, expected<width>, "
      "got<width>>>; to fix: give the layer at that position the width that the layer before it puts out.");
};

template <class Layer, class Site, class Expected, class Got>
struct adapter_misfit {
  static constexpr bool ok = false;
};
template <class Why>
struct check_adapter {
  static constexpr bool adapter_keeps_the_width_of_its_site = Why::ok;
  static_assert(adapter_keeps_the_width_of_its_site,
                "radapt: an adapter must put out the width that it takes. Read check_adapter<adapter_misfit<adapter, "
                "site, expected<width>, got<width>>>; to fix: make the policy's at<Site, D> a layer from D to D.");
};

/// `fits` or the first of the reasons that is not.
template <class... Reasons>
struct first_reason {
  using type = fits;
};
template <class Reason, class... Reasons>
struct first_reason<Reason, Reasons...>
    : std::conditional_t<Reason::ok, first_reason<Reasons...>, std::type_identity<Reason>> {};

/// Always false, but only when instantiated.
template <class...>
inline constexpr bool never = false;

}  // namespace radapt
