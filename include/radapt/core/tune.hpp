#pragma once
/// Tuning policies: which roles are trained. Whatever a policy leaves out is frozen, and has no gradient to write to.
#include "radapt/core/role.hpp"

namespace radapt::tune {

/// Trains the parameters that answer to any of the names: `only<role::adapter>`, `only<role::tower::image>`.
template <class... Names>
struct only {
  template <class R>
  static constexpr bool trains = (role::answers_to<R, Names> || ...);
};

/// Trains everything but the parameters that answer to one of the names.
template <class... Names>
struct except {
  template <class R>
  static constexpr bool trains = !(role::answers_to<R, Names> || ...);
};

/// Trains what every one of the policies trains: `both<only<role::adapter>, only<role::tower::image>>`.
template <class... Policies>
struct both {
  static_assert(
      (requires { Policies::template trains<role::adapter>; } && ...),
      "radapt: tune::both<...> joins tuning policies; to fix: name policies such as tune::only<role::adapter>, "
      "or the roles in one tune::only<...>.");
  template <class R>
  static constexpr bool trains = (Policies::template trains<R> && ...);
};

struct everything {
  template <class R>
  static constexpr bool trains = true;
};

/// Inference: nothing is trained, so nothing is kept.
struct nothing {
  template <class R>
  static constexpr bool trains = false;
};

}  // namespace radapt::tune
