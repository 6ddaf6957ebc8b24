#pragma once
/// Batches, how large they may be, and the memory that a step over one needs.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "radapt/clip/captions.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/boundary.hpp"

namespace radapt {

/// How large the batches of a run are. All memory follows from this.
struct BatchSize {
  Index batch = 32;           ///< pairs (or images) per step
  Index micro_batch = 0;      ///< pairs whose activations are alive at once; 0 is the whole batch
  Index longest_caption = 0;  ///< tokens; 0 is the model's context
  Index micro() const { return micro_batch == 0 ? batch : std::min(micro_batch, batch); }
};

/// Pairs of image and caption. `pixels` is (B, 3 S S); `groups` (B) says which pairs match each other, or is empty.
/// A loss whose terms read more captions takes them behind the first ones: all first captions, then all second ones.
template <class T>
struct PairBatch {
  std::span<const T> pixels;
  const Captions* captions = nullptr;
  std::span<const std::int32_t> groups{};
};

/// Images with class ids. A loss with a term on filled images takes as many in `filled`: the same ones with parts
/// filled in; one with a term that drops patches takes flags in `kept` instead.
template <class T>
struct LabelledBatch {
  std::span<const T> pixels;
  std::span<const std::int32_t> labels;
  std::span<const T> filled{};
  std::span<const std::uint8_t> kept{};  ///< (N, patches), 0 for a patch that is left out; for terms that drop patches
};

/// Bytes that a step works in, known before it runs.
struct MemoryNeed {
  Index kept = 0;      ///< activations that the backward pass reads
  Index scratch = 0;   ///< intermediate results
  Index shared = 0;    ///< of both, since they are wanted at different times
  Index features = 0;  ///< features, their gradients, logits
};

namespace detail {
template <class T>
void check_pixels(std::span<const T> pixels, Index images, Index per_image) {
  if (pixels.size() != images * per_image) {
    fail({.what = "a batch of " + std::to_string(images) + " images",
          .expected = std::to_string(images * per_image) + " pixel values",
          .got = std::to_string(pixels.size()),
          .hint = "Pixels are (batch, 3, size, size), normalised, of the model's image size"});
  }
}

inline void check_batch(Index got, Index planned) {
  if (got == 0 || got > planned) {
    fail({.what = "a training batch",
          .expected = "1 to " + std::to_string(planned) + " samples, as planned",
          .got = std::to_string(got),
          .hint = got == 0 ? "Are captions, or labels, given? They say how many there are"
                           : "Set BatchSize::batch to the largest batch of the run"});
  }
}

inline void check_labels(std::span<const std::int32_t> labels, Index classes) {
  for (const std::int32_t label : labels) {
    if (label < 0 || static_cast<Index>(label) >= classes) {
      fail({.what = "a training batch",
            .expected = "class ids from 0 to " + std::to_string(classes - 1),
            .got = std::to_string(label),
            .hint = "The head has one row for each class"});
    }
  }
}

/// Bytes of one tower's pass with activations A over sequences of that extent, forward and back; `features_first`
/// counts the pass without gradients that runs before micro-batches, `width` is that of what comes out.
template <class Tower, class X, class A, class T, class Tune>
MemoryNeed tower_need(Extent e, bool features_first, Index width = Tower::template output<X>::width) {
  using Training = Plan<Tower, X, A, Tune, false>;
  using Inference = Plan<Tower, X, A, tune::nothing, false>;
  const Index inference = features_first ? Inference::forward_scratch(e) : 0;
  return {.kept = Training::kept(e) + Training::backward_kept(e),
          .scratch = std::max({Training::forward_scratch(e), Training::backward_scratch(e), inference}) +
                     Boundary<Tower, X, A, T>::scratch(e, width)};
}
}  // namespace detail

}  // namespace radapt
