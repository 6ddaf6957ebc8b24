#pragma once
/// Terms that are added to a loss: With<Contrastive, SpuriousAlignment> is a loss again.
#include <cstdint>
#include <tuple>

#include "radapt/core/view.hpp"
#include "radapt/loss/targets.hpp"

namespace radapt {

/// What a loss reads: the features of both towers and the logits of a head. A cross entropy whose terms read captions.
struct needs_both_towers_and_head {};

namespace loss {

/// Where a step stands in its run; steps count from 0.
struct StepPosition {
  std::uint64_t step = 0, total = 0;
};

/// What a term reads of a batch of B pairs, and where its gradients go. All features have rows of length 1; those of
/// the teacher are of the frozen weights that the run began with.
template <class T>
struct PairFeatures {
  Matrix<const T> image, extra_text;                  // (B, embed) of the student
  Matrix<T> dimage{}, dextra_text{};                  // (B, embed) added to; null where the tower is not trained
  Matrix<const T> teacher_image, teacher_extra_text;  // (B, embed)
  const std::int32_t* groups = nullptr;               // (B) class ids, or null
  double teacher_scale = 1.0;                         // exp(logit_scale) of the frozen weights
  Matrix<T> logits, teacher_logits;                   // (B, B) workspaces
  Matrix<T> dfeatures;                                // (B, embed) workspace
};

/// A term on features: `add(context, features, position)` returns its value and adds its gradients. `extra_captions`
/// says how many captions for each pair it reads beside the first; they stand behind all first captions of a batch.
template <class Term>
concept feature_term = requires {
  requires std::is_convertible_v<decltype(Term::extra_captions), Index>;
};

/// A term on parameters: `strength` times the squared distance of every trained tensor from its frozen value.
template <class Term>
concept parameter_term = requires(const Term& t) {
  requires std::is_convertible_v<decltype(t.strength), double>;
  requires std::is_same_v<decltype(t.reaches("name")), bool>;
};

/// Base plus terms. The options of Base are its members; those of a term are reached by `term<SpuriousAlignment>()`.
template <class Base, class... Terms>
struct With : Base {
  static constexpr bool reads_features = (feature_term<Terms> || ...);
  static constexpr Index extra_captions = [] {
    Index most = 0;
    const auto look = [&]<class Term>(const Term*) {
      if constexpr (feature_term<Term>) { most = Term::extra_captions > most ? Term::extra_captions : most; }
    };
    (look(static_cast<const Terms*>(nullptr)), ...);
    return most;
  }();
  using needs = std::conditional_t<reads_features && std::is_same_v<typename Base::needs, needs_head>,
                                   needs_both_towers_and_head, typename Base::needs>;

  std::tuple<Terms...> terms{};

  template <class Term>
  Term& term() {
    return std::get<Term>(terms);
  }
  template <class Term>
  const Term& term() const {
    return std::get<Term>(terms);
  }
  /// Calls f(term) for every term.
  template <class F>
  void each_term(F&& f) const {
    std::apply([&](const Terms&... all) { (f(all), ...); }, terms);
  }
};

/// Captions for each pair that a loss reads: its own, if it is contrastive, and those of its terms.
template <class Loss>
constexpr Index captions_per_pair() {
  constexpr Index own = std::is_same_v<typename Loss::needs, needs_both_towers> ? 1 : 0;
  if constexpr (requires { Loss::extra_captions; }) {
    return own + Loss::extra_captions;
  } else {
    return own;
  }
}
template <class Loss>
inline constexpr bool has_terms = false;
template <class Base, class... Terms>
inline constexpr bool has_terms<With<Base, Terms...>> = true;
template <class Loss>
inline constexpr bool has_feature_terms = [] {
  if constexpr (requires { Loss::reads_features; }) {
    return Loss::reads_features;
  } else {
    return false;
  }
}();

}  // namespace loss
}  // namespace radapt
