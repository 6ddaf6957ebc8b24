#pragma once
/// What a parameter is for. A tuning policy decides from the role alone whether a parameter is trained.
#include <type_traits>

namespace radapt::role {

struct backbone {};     ///< attention and MLP weights of a transformer block
struct norm {};         ///< scale and shift of a layer norm
struct embedding {};    ///< patch, class, token and position embeddings
struct projection {};   ///< the linear map from a tower to the joint space
struct adapter {};      ///< anything that an adapter policy adds
struct head {};         ///< a classifier on top of the image features
struct logit_scale {};  ///< the logarithm of the inverse temperature
/// A number of an adapter that no policy trains, such as LoRA's alpha / r: it answers to its own name only.
struct adapter_constant {};

/// Role `Role` inside a block that was declared open for training: `tune::only<role::unlocked>` names all of them,
/// while a policy that names the role itself still finds it.
template <class Role>
struct in_unlocked_block {};
struct unlocked {};

namespace tower {
struct image {};
struct text {};
}  // namespace tower

/// Role `Role` inside a tower. Policies may name the tower (`tower::image`), the role, or both.
template <class Role, class Tower>
struct in {};

/// Whether a parameter of role R answers to the name `Name`.
template <class R, class Name>
inline constexpr bool answers_to = std::is_same_v<R, Name>;
template <class R, class Tower, class Name>
inline constexpr bool answers_to<in<R, Tower>, Name> =
    std::is_same_v<in<R, Tower>, Name> || std::is_same_v<Tower, Name> || answers_to<R, Name>;
template <class R, class Name>
inline constexpr bool answers_to<in_unlocked_block<R>, Name> = std::is_same_v<unlocked, Name> || answers_to<R, Name>;

/// Whether no policy trains a parameter of role R, whatever it says.
template <class R>
inline constexpr bool never_trained = std::is_same_v<R, adapter_constant>;
template <class R, class Tower>
inline constexpr bool never_trained<in<R, Tower>> = never_trained<R>;

}  // namespace radapt::role
