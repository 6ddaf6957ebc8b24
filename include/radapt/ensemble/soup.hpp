#pragma once
/// Model soups (Wortsman et al., ICML 2022; methods.md 7.10): the mean of many fine-tuned models, of all of them or of
/// those that help.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/weights.hpp"
#include "radapt/ensemble/checks.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

namespace detail {

/// The weights that a list of pointers to weights points to.
template <class Models>
using weights_of = std::remove_cv_t<
    std::remove_pointer_t<std::remove_cv_t<std::remove_pointer_t<decltype(std::data(std::declval<const Models&>()))>>>>;

/// The list as a span, checked: at least one model, none null, all with the same number of classes.
template <class Models>
std::vector<const weights_of<Models>*> checked_models(const std::string& what, const Models& models) {
  std::vector<const weights_of<Models>*> list(std::begin(models), std::end(models));
  if (list.empty()) { fail({.what = what, .expected = "at least one model", .got = "none", .hint = ""}); }
  for (const auto* model : list) {
    if (model == nullptr) {
      fail({.what = what, .expected = "pointers to weights", .got = "a null pointer", .hint = ""});
    }
    check_same_classes(what, *list.front(), *model);
  }
  return list;
}

/// The mean of the models at `chosen`, summed in double in the order of the list.
template <class W>
W mean_of(const std::vector<const W*>& models, const std::vector<Index>& chosen) {
  using T = typename W::element;
  W mean(models.front()->classes());
  const double share = static_cast<double>(chosen.size());
  for (Index i = 0; i < mean.buffer().size(); ++i) {
    double sum = 0;
    for (const Index m : chosen) { sum += static_cast<double>(models[m]->buffer()[i]); }
    mean.buffer()[i] = static_cast<T>(sum / share);
  }
  return mean;
}

}  // namespace detail

/// The mean of all models, element by element, in double. `models` is any list of pointers to weights of one model
/// type: a std::vector, std::array or std::span.
template <class Models>
detail::weights_of<Models> uniform_soup(const Models& models) {
  const auto list = detail::checked_models("uniform_soup", models);
  std::vector<Index> all(list.size());
  std::iota(all.begin(), all.end(), Index{0});
  return detail::mean_of(list, all);
}

/// One model's turn in a greedy soup.
struct GreedyTurn {
  Index model = 0;    ///< its place in the list
  double alone = 0;   ///< its own held-out score
  double with = 0;    ///< the score of the soup with it; of the first model its own
  bool kept = false;  ///< whether the soup's score rose strictly
};

/// What greedy_soup returns.
template <class W>
struct GreedySoup {
  W weights;                        ///< the mean of the models that were kept
  double score = 0;                 ///< its held-out score
  std::vector<Index> kept{};        ///< their places in the list, ascending
  std::vector<GreedyTurn> turns{};  ///< all models in the order in which they were tried, the best alone first
};

/// The soup that takes the models in the order of their held-out score, and keeps each one with which the score of the
/// mean rises strictly.
///
/// `score(weights)` is higher for better models: an accuracy on held-out data, never on the test data. It is called
/// 2 M - 1 times for M models. Models of equal score are tried in the order of the list. The soup that keeps all models
/// is the uniform one, bit for bit; that of one model is that model. A score that is NaN is an error.
template <class Models, class Score>
GreedySoup<detail::weights_of<Models>> greedy_soup(const Models& models, Score&& score, ProgressOptions shown = {}) {
  using W = detail::weights_of<Models>;
  const auto list = detail::checked_models("greedy_soup", models);
  Progress progress("greedy soup", 2 * list.size() - 1, std::move(shown));
  const auto score_of = [&](const W& weights, Index model) {
    const double value = static_cast<double>(score(weights));
    if (std::isnan(value)) {
      fail({.what = "greedy_soup: the score at model " + std::to_string(model),
            .expected = "a number",
            .got = "NaN",
            .hint = "Is the held-out set empty?"});
    }
    progress.advance(1, "score " + std::to_string(value));
    return value;
  };
  std::vector<GreedyTurn> turns(list.size());
  for (Index m = 0; m < list.size(); ++m) { turns[m] = {.model = m, .alone = score_of(*list[m], m)}; }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const GreedyTurn& a, const GreedyTurn& b) { return a.alone > b.alone; });

  GreedyTurn& first = turns.front();
  first.with = first.alone;
  first.kept = true;
  GreedySoup<W> soup{.weights = *list[first.model], .score = first.alone, .kept = {first.model}};
  for (Index t = 1; t < turns.size(); ++t) {
    std::vector<Index> tentative = soup.kept;
    tentative.insert(std::upper_bound(tentative.begin(), tentative.end(), turns[t].model), turns[t].model);
    W mean = detail::mean_of(list, tentative);
    turns[t].with = score_of(mean, turns[t].model);
    if (turns[t].with > soup.score) {
      turns[t].kept = true;
      soup.score = turns[t].with;
      soup.kept = std::move(tentative);
      soup.weights = std::move(mean);
    }
  }
  soup.turns = std::move(turns);
  return soup;
}

}  // namespace radapt
