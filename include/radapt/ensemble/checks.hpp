#pragma once
/// What every ensemble asks of its input: a coefficient that is a number, weights of one size.
#include <cmath>
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/core/weights.hpp"

namespace radapt::detail {

/// Fails unless `value` is a finite number.
inline void check_finite(const std::string& what, const std::string& name, double value) {
  if (!std::isfinite(value)) {
    fail({.what = what + ": " + name, .expected = "a finite number", .got = std::to_string(value), .hint = ""});
  }
}

/// Fails unless alpha is a number from 0 to 1: mixtures of probabilities and Fisher weights have no meaning outside.
inline void check_mixing(const std::string& what, double alpha) {
  if (!(alpha >= 0.0 && alpha <= 1.0)) {
    fail({.what = what + ": alpha",
          .expected = "a number from 0 (zero-shot) to 1 (fine-tuned)",
          .got = std::to_string(alpha),
          .hint = "alpha weights the fine-tuned side"});
  }
}

/// Fails unless two weights of one model have the same number of classes, and so the same tensors. Anything with
/// `classes()` will do.
template <class A, class B>
void check_same_classes(const std::string& what, const A& first, const B& second) {
  if (first.classes() != second.classes()) {
    fail({.what = what,
          .expected = "weights with the same number of classes, " + std::to_string(first.classes()),
          .got = std::to_string(second.classes()),
          .hint = "Heads of different class sets have no tensors in common"});
  }
}

/// Fails unless two tables have the same number of entries.
inline void check_same_size(const std::string& what, const std::string& things, Index expected, Index got) {
  if (expected != got) {
    fail({.what = what, .expected = std::to_string(expected) + " " + things, .got = std::to_string(got), .hint = ""});
  }
}

}  // namespace radapt::detail
