#pragma once
/// What a pass runs in: the backend, the memory, how rows form sequences, and the draws of a training step.
#include <cstdint>
#include <type_traits>

#include "radapt/core/arena.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/sequences.hpp"

namespace radapt {

/// What one Bernoulli draw of adapter dropping covers (methods.md 1.5).
enum class DropGranularity {
  per_sample,          ///< one image or caption: the paper's reading, and the default
  per_batch,           ///< the whole batch
  per_token_position,  ///< one position of every sequence, as the released code does on (L, N, D) tensors
};

/// What the mask of one stochastic layer in one pass is drawn from.
struct MaskDraws {
  double probability = 0.0;  ///< of dropping, 0 <= p < 1
  std::uint64_t seed = 0, step = 0;
  std::uint32_t site = 0;

  /// Whether entry `i` is kept.
  constexpr bool keeps(Index i) const {
    const auto word = philox(
        {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), site, static_cast<std::uint32_t>(step)},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    return static_cast<double>(unit_interval(word[0])) >= probability;
  }
};

/// The draws of one pass. A mask depends on (seed, step, site, sample) alone: splitting a batch into micro-batches, or
/// running it twice, gives the same masks.
struct Phase {
  bool training = false;
  double adapter_drop = 0.0;  ///< probability that an adapter is dropped while training, 0 <= p < 1
  DropGranularity granularity = DropGranularity::per_sample;
  double dropout = 0.0;        ///< probability that a Dropout layer drops an element while training, 0 <= p < 1
  double adapter_alpha = 1.0;  ///< scale of every adapter in evaluation; alpha weights the fine-tuned side
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  Index first_sequence = 0;     ///< position of this micro-batch in the batch
  std::uint32_t next_site = 0;  ///< counts the stochastic layers of a pass, in the order in which forward meets them
  const std::uint8_t* const* given_masks = nullptr;  ///< masks by site instead of drawn ones: for reproducing a run

  /// The draws of the adapter of that site.
  constexpr MaskDraws draws_of(std::uint32_t site) const { return {adapter_drop, seed, step, site}; }
};

/// A backend with the memory it works in. Passes are not re-entrant: one context, one pass at a time.
template <class Backend>
struct Context {
  using backend = Backend;
  Backend device;
  Arena arena;
  Sequences sequences;                      ///< of the tower that is being run
  const PooledFrom* pooled_from = nullptr;  ///< where those sequences are pooled rows: what they were picked from
  Phase phase;
};

template <class C>
using backend_of = typename std::remove_cvref_t<C>::backend;

namespace detail {
template <class Backend, class T>
struct activation {
  using type = T;
};
template <class Backend>
requires requires { typename Backend::activation; }
struct activation<Backend, float> {
  using type = typename Backend::activation;
};
}  // namespace detail

/// Precision policy: what passes over parameters of T store on a backend. `Backend::activation` for float parameters,
/// where the backend has one; else T itself.
template <class Backend, class T>
using activation_t = typename detail::activation<Backend, T>::type;

}  // namespace radapt
