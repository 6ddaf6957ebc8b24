#pragma once
/// Images with parts filled in from other images of the batch, or left out, for Mask-fill (methods.md 7.11).
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/shape.hpp"

namespace radapt {

/// Where the pixels of a masked patch come from.
enum class FillFrom {
  one_image,        ///< every image has one donor in the batch: "single fill"
  image_per_patch,  ///< every patch draws a donor of its own: "multi fill"
};

/// Options of fill_masked; the defaults are those of the published object mask.
struct FillOptions {
  double threshold = 0.3;  ///< a patch is masked where relevance / largest relevance of its image exceeds it, 0 .. 1
  FillFrom from = FillFrom::one_image;
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  ///< of the run: donors are a function of (seed, step)
};

namespace detail {
/// For every image another one, no image twice: a random cycle through all of them (Sattolo's algorithm).
inline std::vector<Index> donors(Index images, Random& random) {
  std::vector<Index> of(images);
  for (Index i = 0; i < images; ++i) { of[i] = i; }
  for (Index i = images; i-- > 1;) { std::swap(of[i], of[random.below(static_cast<std::uint32_t>(i))]); }
  return of;
}

/// Whether a patch is masked, of an image whose largest relevance is `most`.
template <class T>
bool is_masked(T relevance, double most, double threshold) {
  return most > 0.0 && static_cast<double>(relevance) > threshold * most;
}
inline void check_threshold(const char* what, double threshold) {
  if (threshold >= 0.0 && threshold <= 1.0) { return; }
  fail({.what = std::string(what) + ": option threshold",
        .expected = "a number from 0 to 1",
        .got = std::to_string(threshold),
        .hint = "0.3 masks the object; published values go up to 0.75"});
}
}  // namespace detail

/// The images of a batch with their masked patches replaced by the same patches of other images. pixels and filled
/// (N, 3, S, S) with S = Arch::image; relevance (N, patches) >= 0, row by row, of AttentionRelevance or of your own. An
/// image whose relevance is zero everywhere stays as it is. Errors: sizes that do not fit, a batch of one image.
template <class Arch, class T>
void fill_masked(std::span<const T> pixels, std::span<const T> relevance, std::span<T> filled,
                 const FillOptions& options = {}) {
  constexpr Index size = Arch::image, patch = Arch::patch, grid = size / patch, patches = grid * grid;
  constexpr Index per_image = 3 * size * size;
  const Index images = pixels.size() / per_image;
  if (images < 2 || pixels.size() != images * per_image || filled.size() != pixels.size() ||
      relevance.size() != images * patches) {
    fail({.what = "fill_masked",
          .expected = "2 or more images of " + std::to_string(per_image) + " pixel values, as many filled ones, and " +
                      std::to_string(patches) + " values of relevance for each",
          .got = std::to_string(pixels.size()) + ", " + std::to_string(filled.size()) + " and " +
                 std::to_string(relevance.size()) + " values",
          .hint = "What is masked is filled from another image of the batch"});
  }
  detail::check_threshold("fill_masked", options.threshold);
  std::copy(pixels.begin(), pixels.end(), filled.begin());
  Random random(options.seed, options.step);
  const std::vector<Index> donor_of = detail::donors(images, random);
  for (Index i = 0; i < images; ++i) {
    const T* const map = relevance.data() + i * patches;
    const double most = static_cast<double>(*std::max_element(map, map + patches));
    for (Index p = 0; p < patches; ++p) {
      Index donor = donor_of[i];
      if (options.from == FillFrom::image_per_patch) {
        // Drawn for every patch, masked or not: a draw does not depend on the relevance of others.
        donor = (i + 1 + random.below(static_cast<std::uint32_t>(images - 1))) % images;
      }
      if (!detail::is_masked(map[p], most, options.threshold)) { continue; }
      for (Index channel = 0; channel < 3; ++channel) {
        for (Index row = 0; row < patch; ++row) {
          const Index at = (channel * size + (p / grid) * patch + row) * size + (p % grid) * patch;
          const T* const from = pixels.data() + donor * per_image + at;
          std::copy(from, from + patch, filled.data() + i * per_image + at);
        }
      }
    }
  }
}

/// The patches that are not masked, for DroppedPatchDistillation ("no fill"): 1 or 0 in kept (N, patches). relevance
/// and threshold as in fill_masked. Errors: sizes that do not fit, a threshold outside 0 .. 1.
template <class Arch, class T>
void keep_unmasked(std::span<const T> relevance, std::span<std::uint8_t> kept, double threshold = 0.3) {
  constexpr Index grid = Arch::image / Arch::patch, patches = grid * grid;
  if (relevance.empty() || relevance.size() % patches != 0 || kept.size() != relevance.size()) {
    fail({.what = "keep_unmasked",
          .expected = std::to_string(patches) + " values of relevance for each image, and as many flags",
          .got = std::to_string(relevance.size()) + " and " + std::to_string(kept.size()),
          .hint = ""});
  }
  detail::check_threshold("keep_unmasked", threshold);
  for (Index first = 0; first < relevance.size(); first += patches) {
    const std::span<const T> map = relevance.subspan(first, patches);
    const double most = static_cast<double>(*std::max_element(map.begin(), map.end()));
    for (Index p = 0; p < patches; ++p) { kept[first + p] = detail::is_masked(map[p], most, threshold) ? 0 : 1; }
  }
}

}  // namespace radapt
