#pragma once
/// One line for a layer that must pass the library's own gradient checker.
#include <doctest/doctest.h>

#include "cases/reference_kernels.hpp"
#include "radapt/test/gradient_check.hpp"

namespace radapt_test {

/// L on rows X: every gradient, every buffer and every planned byte (radapt/test/gradient_check.hpp).
template <class L, class X, class... Policies>
void passes(const radapt::test::CheckOptions& options = {}) {
  const radapt::test::Report report = radapt::test::check_layer<L, X, Policies...>(options);
  CHECK_MESSAGE(report.ok(), report.text());
}
/// The same for a layer whose input has no gradient.
template <class L, class X, class... Policies>
void passes_as_first(const radapt::test::CheckOptions& options) {
  const radapt::test::Report report = radapt::test::check_first_layer<L, X, Policies...>(options);
  CHECK_MESSAGE(report.ok(), report.text());
}

/// A uniform batch alone: images.
inline radapt::test::CheckOptions images(radapt::Index count, radapt::Index tokens) {
  return {.sequences = count, .length = tokens, .packed = {}};
}
/// Captions: uniform and packed.
inline radapt::test::CheckOptions captions(radapt::Index vocabulary) { return {.vocabulary = vocabulary}; }

}  // namespace radapt_test
