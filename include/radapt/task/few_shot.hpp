#pragma once
/// Small training sets: k samples of each class, and the classes split into base and novel.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/task/accuracy.hpp"

namespace radapt::task {

/// What happens when a class has fewer samples than wanted.
enum class Shortage {
  error,    ///< fails and names the class
  allowed,  ///< takes all it has
};

/// Positions of `shots` samples of each class, drawn without replacement: class 0 first, each class in drawn order.
/// `labels` (N) are in 0 .. classes - 1. Class c uses stream c of the seed, so that a class gets the same samples
/// whatever the others hold, and the first k of each class are the draw for k shots: sets of one seed are nested.
/// Errors: no shots, a label outside the classes, a class that is too small unless that is allowed, 2^32 samples in one
/// class.
inline std::vector<Index> few_shot(std::span<const std::int32_t> labels, Index classes, Index shots, std::uint64_t seed,
                                   Shortage shortage = Shortage::error) {
  const char* const what = "few_shot";
  if (shots == 0) { fail({.what = what, .expected = "at least one shot", .got = "none", .hint = {}}); }
  detail::check_labels(what, labels, classes, "a label");
  std::vector<std::vector<Index>> members(classes);
  for (Index i = 0; i < labels.size(); ++i) { members[static_cast<Index>(labels[i])].push_back(i); }
  std::vector<Index> chosen;
  for (Index c = 0; c < classes; ++c) {
    auto& of_class = members[c];
    if ((of_class.size() < shots && shortage == Shortage::error) || of_class.size() >> 32 != 0) {
      fail({.what = std::string(what) + ", class " + std::to_string(c),
            .expected = std::to_string(shots) + " samples",
            .got = std::to_string(of_class.size()),
            .hint = "Shortage::allowed takes what there is"});
    }
    Random random(seed, c);
    const Index taken = std::min(shots, of_class.size());
    for (Index k = 0; k < taken; ++k) {
      const Index other = k + random.below(static_cast<std::uint32_t>(of_class.size() - k));
      std::swap(of_class[k], of_class[other]);
      chosen.push_back(of_class[k]);
    }
  }
  return chosen;
}

/// The positions 0 .. samples - 1 that are not among `taken`, ascending: what is left to validate on. Error: a position
/// outside.
inline std::vector<Index> remaining(Index samples, std::span<const Index> taken) {
  std::vector<bool> used(samples, false);
  for (const Index i : taken) {
    if (i >= samples) {
      fail({.what = "remaining",
            .expected = "positions below " + std::to_string(samples),
            .got = std::to_string(i),
            .hint = {}});
    }
    used[i] = true;
  }
  std::vector<Index> left;
  for (Index i = 0; i < samples; ++i) {
    if (!used[i]) { left.push_back(i); }
  }
  return left;
}

/// Classes to train on, and classes that are only tested on.
struct BaseNovel {
  std::vector<std::int32_t> base, novel;
};

/// The base-to-novel split of CoOp and CoCoOp (methods.md 1.11): the first half in the order of labels is base, of an
/// odd number the larger half. Error: fewer than two classes.
inline BaseNovel split_base_novel(Index classes) {
  if (classes < 2) {
    fail({.what = "split_base_novel", .expected = "at least two classes", .got = std::to_string(classes), .hint = {}});
  }
  BaseNovel split;
  const Index base = (classes + 1) / 2;
  for (Index c = 0; c < classes; ++c) { (c < base ? split.base : split.novel).push_back(static_cast<std::int32_t>(c)); }
  return split;
}

/// Samples of some classes: their positions, ascending, and their labels counted among these classes.
struct ClassSubset {
  std::vector<Index> samples;
  std::vector<std::int32_t> labels;
};

/// The samples of `labels` (N) that belong to `classes`; a sample of classes[i] gets label i. Error: a class twice.
inline ClassSubset samples_of(std::span<const std::int32_t> labels, std::span<const std::int32_t> classes) {
  std::vector<std::pair<std::int32_t, std::int32_t>> position;
  for (Index i = 0; i < classes.size(); ++i) { position.emplace_back(classes[i], static_cast<std::int32_t>(i)); }
  std::sort(position.begin(), position.end());
  for (Index i = 1; i < position.size(); ++i) {
    if (position[i].first == position[i - 1].first) {
      fail({.what = "samples_of",
            .expected = "every class once",
            .got = std::to_string(position[i].first) + " twice",
            .hint = {}});
    }
  }
  ClassSubset subset;
  for (Index i = 0; i < labels.size(); ++i) {
    const auto found = std::lower_bound(position.begin(), position.end(), std::make_pair(labels[i], std::int32_t{0}));
    if (found != position.end() && found->first == labels[i]) {
      subset.samples.push_back(i);
      subset.labels.push_back(found->second);
    }
  }
  return subset;
}

}  // namespace radapt::task
