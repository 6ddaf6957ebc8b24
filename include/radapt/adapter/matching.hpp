#pragma once
/// Which module of a source model corresponds to which of a target model: those whose singular spaces agree
/// (methods.md 5.1, 5.3).
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "radapt/adapter/space_algebra.hpp"
#include "radapt/adapter/subspace.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// |A^T B|^2 / min(columns) of two orthonormal bases of one space: from 0 to 1, and 1 where the smaller space lies in
/// the larger one. 0 where one of them is empty.
template <class S = double>
double subspace_similarity(const detail::EigenMatrix& a, const detail::EigenMatrix& b) {
  if (a.rows() != b.rows()) {
    fail({.what = "subspace_similarity",
          .expected = "bases of one space, of " + std::to_string(a.rows()) + " rows",
          .got = std::to_string(b.rows()) + " rows",
          .hint = ""});
  }
  const Eigen::Index smaller = std::min(a.cols(), b.cols());
  if (smaller == 0) { return 0.0; }
  return detail::SpaceAlgebra<S>::transposed_product(a, b).squaredNorm() / static_cast<double>(smaller);
}

/// A weight by its name and spaces. Modules of different `group` are never compared: towers, attention and MLP.
struct ModuleSpaces {
  std::string name;
  std::string group;
  Subspaces spaces;
};

/// The source module for one target module, or none.
struct ModuleMatch {
  std::string target;
  std::string source{};   ///< the most similar one; empty where no module has its group and shape
  double left = 0;        ///< similarity of the output spaces
  double right = 0;       ///< similarity of the input spaces
  bool accepted = false;  ///< whether both are at least the threshold
};

/// For every target module the source module of its group and shape whose smaller similarity is the largest, the first
/// of equal ones. A source may serve many targets. `threshold` is from 0 to 1; 0.8 is the published value. Takes one
/// matrix product for each pair and side, so it shows progress.
template <class S = double>
std::vector<ModuleMatch> match_modules(const std::vector<ModuleSpaces>& sources,
                                       const std::vector<ModuleSpaces>& targets, double threshold = 0.8,
                                       ProgressOptions shown = {}) {
  if (!(threshold >= 0.0 && threshold <= 1.0)) {
    fail({.what = "match_modules: threshold",
          .expected = "a number from 0 to 1",
          .got = std::to_string(threshold),
          .hint = "The published value is 0.8"});
  }
  std::vector<ModuleMatch> matches;
  Progress progress("matching modules", targets.size(), std::move(shown));
  for (const ModuleSpaces& target : targets) {
    ModuleMatch best{.target = target.name};
    for (const ModuleSpaces& source : sources) {
      const bool comparable = source.group == target.group && source.spaces.left.rows() == target.spaces.left.rows() &&
                              source.spaces.right.rows() == target.spaces.right.rows();
      if (!comparable) { continue; }
      const double left = subspace_similarity<S>(source.spaces.left, target.spaces.left);
      const double right = subspace_similarity<S>(source.spaces.right, target.spaces.right);
      if (best.source.empty() || std::min(left, right) > std::min(best.left, best.right)) {
        best.source = source.name;
        best.left = left;
        best.right = right;
      }
    }
    best.accepted = !best.source.empty() && std::min(best.left, best.right) >= threshold;
    matches.push_back(std::move(best));
    progress.advance();
  }
  return matches;
}

namespace detail {
/// A heading and a line for each match.
inline std::vector<std::string> match_lines(const std::vector<ModuleMatch>& matches) {
  std::size_t target = 6, source = 6;
  for (const ModuleMatch& m : matches) {
    target = std::max(target, m.target.size());
    source = std::max(source, m.source.size());
  }
  const auto cell = [](const std::string& text, std::size_t width) {
    return text + std::string(width - std::min(width, text.size()) + 2, ' ');
  };
  std::vector<std::string> lines{cell("target", target) + cell("source", source) + "left   right  used"};
  for (const ModuleMatch& m : matches) {
    char numbers[48];
    std::snprintf(numbers, sizeof numbers, "%.3f  %.3f  %-4s", m.left, m.right, m.accepted ? "yes" : "no");
    lines.push_back(cell(m.target, target) + cell(m.source.empty() ? "none" : m.source, source) + numbers);
  }
  return lines;
}
inline std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) { text += line + "\n"; }
  return text;
}
}  // namespace detail

/// The matches as a table, one line for each target module.
inline std::string describe(const std::vector<ModuleMatch>& matches) {
  return detail::joined_lines(detail::match_lines(matches));
}

}  // namespace radapt
