#pragma once
/// The two models of an output ensemble, as deploy() leaves them, and what they say together (methods.md 3 and 7.16).
#include <cstdint>
#include <vector>

#include "radapt/core/const_weights.hpp"
#include "radapt/ensemble/output.hpp"
#include "radapt/ensemble/vrf.hpp"

namespace radapt {

/// The fine-tuned weights, and those that the run began with, read where they lie: Weights that the run was given must
/// outlive this object. Where adapters were folded in, they still have theirs, as the identity: a session on them with
/// `{.adapter_alpha = 0}` is the zero-shot model.
template <class Tuned, class Base>
struct ModelPair {
  using element = typename Tuned::element;
  Tuned tuned;
  ConstWeights<Base, element> zero_shot;
};

/// OSE: the probabilities of both, mixed with one constant. Logits are tables (samples, classes), of a session on
/// `tuned` and of one on `zero_shot`.
template <class Tuned, class Base>
struct OutputEnsemblePair : ModelPair<Tuned, Base> {
  /// alpha softmax(tuned / its temperature) + (1 - alpha) softmax(zero_shot / its temperature), alpha from 0 to 1. It
  /// is another number than that of deploy(), and is chosen on in-distribution validation data as well. Errors: as
  /// probabilities() and mix_probabilities().
  template <score_table A, score_table B>
  static auto probabilities(double alpha, const A& tuned_logits, const B& zero_shot_logits,
                            double tuned_temperature = 1.0, double zero_shot_temperature = 1.0) {
    return mix_probabilities(alpha, radapt::probabilities(tuned_logits, tuned_temperature),
                             radapt::probabilities(zero_shot_logits, zero_shot_temperature));
  }
};

/// VRF: the same with a weight for every sample. Features (samples, width) are those of `tuned`, the tower that is
/// deployed, both for the failure set and for what is predicted (methods.md 8, constraint 4).
template <class Tuned, class Base>
struct VariancePair : ModelPair<Tuned, Base> {
  /// What the fine-tuned model has learned, from training samples and their class ids.
  template <score_table F, score_table A, score_table B>
  static FailureSet<typename Tuned::element> failure_set(const F& features, const A& tuned_logits,
                                                         const B& zero_shot_logits,
                                                         const std::vector<std::int32_t>& labels) {
    return {features, tuned_logits, zero_shot_logits, labels};
  }
  /// Predictions, weights and distances of other samples. Errors: as vrf().
  template <score_table F, score_table A, score_table B, class Projection = no_projection>
  static VrfPrediction<typename Tuned::element> predict(const FailureSet<typename Tuned::element>& failures,
                                                        const F& features, const A& tuned_logits,
                                                        const B& zero_shot_logits, const VrfOptions& options = {},
                                                        Projection&& projection = {}) {
    return vrf(failures, features, tuned_logits, zero_shot_logits, options, projection);
  }
  /// The same, with the distances from the backend of a context, such as that of the session on `tuned`.
  template <class Backend, score_table F, score_table A, score_table B, class Projection = no_projection>
  static VrfPrediction<typename Tuned::element> predict(Context<Backend>& context,
                                                        const FailureSet<typename Tuned::element>& failures,
                                                        const F& features, const A& tuned_logits,
                                                        const B& zero_shot_logits, const VrfOptions& options = {},
                                                        Projection&& projection = {}) {
    return vrf(context, failures, features, tuned_logits, zero_shot_logits, options, projection);
  }
};

}  // namespace radapt
