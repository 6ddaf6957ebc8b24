#pragma once
/// The words that a recipe's ensembles are spelled with: what happens while training, and what happens at deployment.
#include <type_traits>

namespace radapt {

/// While training: whole adapters are dropped at random (methods.md 1.5).
struct AdapterDrop {};
/// While training: a moving average follows the trained parameters, and is what is deployed (methods.md 1.6).
struct Accumulate {};

/// At deployment: adapters are scaled by alpha and folded into the frozen weights (methods.md 1.7).
struct Rescale {};
/// At deployment: every tensor is interpolated between the base and the fine-tuned weights (methods.md 2.1).
struct Interpolate {};

/// What a recipe does besides minimising its loss: it answers for each of the words above whether it is part of it.
template <class E>
concept ensemble_policy = requires {
  requires std::is_convertible_v<decltype(E::template has<Accumulate>), bool>;
};

namespace ensemble {

/// While training: any of AdapterDrop and Accumulate.
template <class... Parts>
struct During {
  template <class Part>
  static constexpr bool has = (std::is_same_v<Part, Parts> || ...);
};
/// At deployment: Rescale, Interpolate, or nothing.
template <class... Parts>
struct After {
  template <class Part>
  static constexpr bool has = (std::is_same_v<Part, Parts> || ...);
};

}  // namespace ensemble
}  // namespace radapt
