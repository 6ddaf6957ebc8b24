#pragma once
/// The relevance of patches against tests/oracle, where autograd goes through a whole tower.
#include <algorithm>
#include <span>
#include <vector>

#include "oracle/cases.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/train/attention_relevance.hpp"

namespace radapt_test {

using radapt::Index;

/// The tower of the oracle's cases. The text tower is not used.
struct Tower : radapt::arch::Defaults {
  static constexpr Index embed = 5, image = 6, patch = 2, context = 4, vocabulary = 8;
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
  static constexpr radapt::TowerSize vision{.width = 9, .heads = 3, .layers = 3, .hidden = 10};
  static constexpr radapt::TowerSize text{.width = 4, .heads = 1, .layers = 1, .hidden = 4};
};

template <class Backend, class T>
void relevance(OracleCase& c) {
  using Model = radapt::Classifier<radapt::Clip<Tower>>;
  const Index classes = c.extent("head.bias", 0);
  radapt::Weights<Model, T> weights(classes);
  c.read_into(weights.tree());
  const auto pixels = c.read<T>("pixels");
  const auto labels = c.labels("labels");
  const std::span<const T> all = pixels;

  // In float the rounding of three blocks, there and back: seen 4e-6.
  constexpr double bound = sizeof(T) == 8 ? 1e-12 : 2e-5;
  std::vector<T> logits(labels.size() * classes);
  radapt::ClassifierSession<Model, Backend, T>(weights, {.images = 2}).logits(all, logits);
  CHECK(oracle_error(logits, c.read("logits")) < bound);

  const auto expected = c.read("relevance");
  std::vector<T> relevance(expected.size());
  radapt::AttentionRelevance<Model, Backend, T> of(classes, 2);  // the last piece may be shorter
  of(weights.tree(), all, labels, relevance);
  CHECK(oracle_error(relevance, expected) < bound);
  CHECK(*std::max_element(expected.begin(), expected.end()) > 0.1);  // there is something to compare
}

template <class Backend, class T>
void walk_relevance() {
  walk_oracle("attention_relevance.json", {{"relevance", 2, relevance<Backend, T>}});
}

}  // namespace radapt_test
