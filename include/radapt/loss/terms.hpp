#pragma once
/// Terms that are added to a loss: With<Contrastive, SpuriousAlignment> is a loss again.
#include <cstdint>
#include <string_view>
#include <tuple>

#include "radapt/core/check.hpp"
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
/// the teacher are of the frozen weights that the run began with, or of the average that `FromAverage` asks for.
template <class T>
struct PairFeatures {
  // (B, embed) of the student; null where the loss has no such captions
  Matrix<const T> image, text{}, extra_text{};
  // (B, embed) added to; null where the tower is not trained
  Matrix<T> dimage{}, dtext{}, dextra_text{};
  // (B, embed) of the teacher
  Matrix<const T> teacher_image{}, teacher_text{}, teacher_extra_text{};
  const std::int32_t* groups = nullptr;  // (B) class ids, or null
  double scale = 1.0;                    // exp(logit_scale) of the student
  T* dlog_scale = nullptr;               // added to; null where the scale is not trained
  double teacher_scale = 1.0;            // exp(logit_scale) of the teacher
  Matrix<T> logits, teacher_logits;      // (B, B) workspaces
  Matrix<T> dfeatures;                   // (B, embed) workspace
};

/// What a term reads of images whose parts were filled in (LabelledBatch::filled), and where its gradients go.
template <class T>
struct FilledFeatures {
  Matrix<const T> features;          // (n, embed) of the student, not normalised
  Matrix<const T> teacher_features;  // (n, embed) of the frozen weights
  Matrix<T> dfeatures;               // (n, embed) added to
  double share = 1.0;                // of these n images in the batch
};

/// One of the two tensors that a term on parameters couples.
template <class T>
struct PairedTensor {
  Matrix<const T> value;
  Matrix<T> gradient{};  // added to; null where the tensor is not trained
};

/// A term on features: `add(context, PairFeatures, position, value)` launches what adds its value to *value and its
/// gradients to those of the features. `value` is read by the host when the step is done, so that nothing waits for it.
/// `extra_captions` says how many captions for each pair it reads beside the first; they stand behind all first
/// captions of a batch. One that reads the first captions says `reads_captions = true`. Where it has `weight(position)`
/// and that is zero, the term and its teacher are not run.
template <class Term>
concept feature_term = requires {
  requires std::is_convertible_v<decltype(Term::name), std::string_view>;
  requires std::is_convertible_v<decltype(Term::extra_captions), Index>;
};

/// A term on the features of filled images: `add(context, FilledFeatures, position, value)` launches what adds its
/// value and its gradient.
template <class Term>
concept filled_image_term = requires {
  requires std::is_convertible_v<decltype(Term::name), std::string_view>;
  requires Term::reads_filled_images;
};

/// A term on parameters: `strength` times a penalty on every trained tensor whose name it `reaches`, the squared
/// distance from the frozen value. A term with a penalty of its own has `add(context, gradient, tensor, scratch,
/// value)`, which launches what adds it to *value, and its gradient, and `scratch_elements(rows, columns)` of workspace
/// for a tensor of these extents. One that couples two tensors names them `first` and `second`, gets both as
/// PairedTensor in `add(context, first, second, scratch, value)`, and has `scratch_elements(rows of the first, rows of
/// the second, columns of both)`.
template <class Term>
concept parameter_term = requires(const Term& t) {
  requires std::is_convertible_v<decltype(Term::name), std::string_view>;
  requires std::is_convertible_v<decltype(t.strength), double>;
  requires std::is_same_v<decltype(t.reaches("name")), bool>;
};

/// How a teacher follows the trained weights: every `every` steps it becomes m teacher + (1 - m) weights, where m rises
/// linearly from `first` to `last` over the first `rising` of the run (methods.md 7.12).
struct AverageSchedule {
  std::uint64_t every = 500;  ///< steps, at least 1
  double first = 0.05;        ///< 0 .. 1
  double last = 0.9;          ///< 0 .. 1
  double rising = 0.2;        ///< share of the run, 0 .. 1

  /// Whether the teacher moves when `steps` have been done.
  bool moves_after(std::uint64_t steps) const { return steps % every == 0; }
  /// m when `steps` of `total` have been done.
  double momentum_at(std::uint64_t steps, std::uint64_t total) const {
    const double rise = rising * static_cast<double>(total);
    const double done = static_cast<double>(steps);
    return done >= rise ? last : first + (last - first) * done / rise;
  }
};

inline void check_schedule(std::string_view term, const AverageSchedule& s) {
  const auto share = [](double x) { return x >= 0.0 && x <= 1.0; };
  if (s.every > 0 && share(s.first) && share(s.last) && share(s.rising)) { return; }
  fail({.what = "loss term " + std::string(term) + ": average",
        .expected = "every >= 1, and first, last and rising from 0 to 1",
        .got = "every " + std::to_string(s.every) + ", first " + std::to_string(s.first) + ", last " +
               std::to_string(s.last) + ", rising " + std::to_string(s.rising),
        .hint = "CaRot moves its teacher every 500 steps, with 0.05 rising to 0.9 over a fifth of the run"});
}

/// A term on features whose teacher is a moving average of the trained weights in the place of the frozen ones. The
/// average belongs to the trainer, begins at the frozen weights, and is never deployed.
template <class Term>
struct FromAverage : Term {
  static_assert(feature_term<Term>,
                "radapt: only a term on features has a teacher; to fix: put FromAverage around one.");
  AverageSchedule average{};
};

template <class Term>
inline constexpr bool follows_average = false;
template <class Term>
inline constexpr bool follows_average<FromAverage<Term>> = true;

/// Whether a term on filled images takes kept patches in their place (LabelledBatch::kept).
template <class Term>
inline constexpr bool drops_patches = requires {
  requires Term::drops_patches;
};

template <class Base, class... Terms>
struct With;
template <class Loss>
inline constexpr bool has_terms = false;
template <class Base, class... Terms>
inline constexpr bool has_terms<With<Base, Terms...>> = true;

/// Reasons for which a term cannot be added to a loss.
template <class Term>
struct this_is_no_term {
  static constexpr bool ok = false;
};
template <class Term, class Base>
struct the_term_reads_captions_of_a_contrastive_loss {
  static constexpr bool ok = false;
};
template <class Term, class Base>
struct the_term_reads_images_of_a_loss_with_a_head {
  static constexpr bool ok = false;
};
template <class Base>
struct the_base_has_terms_already {
  static constexpr bool ok = false;
};
template <class Base>
struct the_margins_of_the_loss_would_be_lost {
  static constexpr bool ok = false;
};
template <class Base>
struct terms_on_features_beside_a_head_read_no_captions {
  static constexpr bool ok = false;
};
template <class... Terms>
struct two_terms_follow_averages {
  static constexpr bool ok = false;
};
template <class Term>
struct a_term_is_named_twice {
  static constexpr bool ok = false;
};

template <class Why>
struct check_terms {
  static constexpr bool the_terms_fit_the_loss = Why::ok;
  static_assert(
      the_terms_fit_the_loss,
      "radapt: a term of loss::With<Base, Terms...> does not fit. Read check_terms<reason<...>>; to fix: name "
      "terms, such as SpuriousAlignment or TowardBase, behind one loss without terms; distil captions on a "
      "loss without margins, their logits on a contrastive one, filled images on cross entropy alone; give "
      "a term on features beside a head extra_captions; follow one average at most; and name each term once.");
};

namespace detail {

template <class Term>
constexpr Index extra_captions_of() {
  if constexpr (feature_term<Term>) {
    return Term::extra_captions;
  } else {
    return 0;
  }
}
template <class Term>
constexpr bool reads_captions() {
  if constexpr (requires { Term::reads_captions; }) {
    return Term::reads_captions;
  } else {
    return false;
  }
}

template <class Base>
constexpr bool has_margins() {
  return requires(const Base& loss, const float* head, float* out) { loss.margins(head, Index{1}, Index{1}, out); };
}

template <class Base, bool ReadsFeatures, class Term>
constexpr auto term_reason() {
  constexpr bool head = std::is_same_v<typename Base::needs, needs_head>;
  if constexpr (has_terms<Base>) {
    return the_base_has_terms_already<Base>{};
  } else if constexpr (!feature_term<Term> && !filled_image_term<Term> && !parameter_term<Term>) {
    return this_is_no_term<Term>{};
  } else if constexpr (reads_captions<Term>() && head) {
    return the_term_reads_captions_of_a_contrastive_loss<Term, Base>{};
  } else if constexpr (filled_image_term<Term> && (!head || ReadsFeatures)) {
    return the_term_reads_images_of_a_loss_with_a_head<Term, Base>{};
  } else if constexpr (ReadsFeatures && has_margins<Base>()) {
    return the_margins_of_the_loss_would_be_lost<Base>{};
  } else {
    return fits{};
  }
}
template <class Base, bool ReadsFeatures>
constexpr auto terms_reason() {
  return fits{};
}
template <class Base, bool ReadsFeatures, class Term, class... Terms>
constexpr auto terms_reason() {
  using Reason = decltype(term_reason<Base, ReadsFeatures, Term>());
  if constexpr (!Reason::ok) {
    return Reason{};
  } else if constexpr ((std::is_same_v<Term, Terms> || ...)) {
    return a_term_is_named_twice<Term>{};
  } else if constexpr (follows_average<Term> && (follows_average<Terms> || ...)) {
    return two_terms_follow_averages<Term, Terms...>{};
  } else {
    return terms_reason<Base, ReadsFeatures, Terms...>();
  }
}

/// Of all terms together.
template <class Base, class... Terms>
constexpr auto all_terms_reason() {
  constexpr bool reads_features = (feature_term<Terms> || ...);
  using Reason = decltype(terms_reason<Base, reads_features, Terms...>());
  if constexpr (!Reason::ok) {
    return Reason{};
  } else if constexpr (reads_features && std::is_same_v<typename Base::needs, needs_head> &&
                       ((extra_captions_of<Terms>() == 0) && ...)) {
    return terms_on_features_beside_a_head_read_no_captions<Base>{};
  } else {
    return fits{};
  }
}

}  // namespace detail

/// Base plus terms. The options of Base are its members; those of a term are reached by `term<SpuriousAlignment>()`.
template <class Base, class... Terms>
struct With : Base, check_terms<decltype(detail::all_terms_reason<Base, Terms...>())> {
  static constexpr bool reads_features = (feature_term<Terms> || ...);
  static constexpr bool reads_filled_images = (filled_image_term<Terms> || ...);
  static constexpr bool reads_kept_patches = (drops_patches<Terms> || ...);
  static constexpr bool has_frozen_teacher = ((feature_term<Terms> && !follows_average<Terms>) || ...);
  static constexpr bool has_average_teacher = (follows_average<Terms> || ...);
  static constexpr Index term_count = sizeof...(Terms);
  static constexpr Index extra_captions = [] {
    Index most = 0;
    ((most = detail::extra_captions_of<Terms>() > most ? detail::extra_captions_of<Terms>() : most), ...);
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

/// The teachers and images that the terms of a loss read; none for a loss without terms.
template <class Loss>
struct term_needs {
  static constexpr bool frozen_teacher = false, average_teacher = false, filled_images = false, kept_patches = false;
  static constexpr Index count = 0;
};
template <class Base, class... Terms>
struct term_needs<With<Base, Terms...>> {
  using Loss = With<Base, Terms...>;
  static constexpr bool frozen_teacher = Loss::has_frozen_teacher, average_teacher = Loss::has_average_teacher,
                        filled_images = Loss::reads_filled_images, kept_patches = Loss::reads_kept_patches;
  static constexpr Index count = Loss::term_count;
};

/// Whether a term has to be run at that position.
template <class Term>
bool is_active(const Term& term, StepPosition at) {
  if constexpr (requires { term.weight(at); }) {
    return term.weight(at) != 0.0;
  } else {
    return true;
  }
}

}  // namespace loss
}  // namespace radapt
