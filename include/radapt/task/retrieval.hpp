#pragma once
/// Finding the captions of an image and the image of a caption: recall at K and ranks in both directions, without a
/// matrix of all similarities.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/task/late_progress.hpp"

namespace radapt::task {

/// Which of two candidates with the same similarity comes first.
enum class TieRule {
  by_index,     ///< the one with the lower position: open_clip's stable sort (clip_compat.md 5.2)
  pessimistic,  ///< the wrong one: a model that says the same of everything then finds nothing
};

/// One direction: queries of one kind among candidates of the other.
struct RetrievalResult {
  std::vector<Index> ranks;  ///< of the best true match of each query, from 1

  /// Share of the queries with at least one true match among the first k, 0 to 1 (methods.md 0.5).
  double recall(Index k) const {
    const auto found = std::count_if(ranks.begin(), ranks.end(), [k](Index rank) { return rank <= k; });
    return static_cast<double>(found) / static_cast<double>(ranks.size());
  }
  double mean_rank() const {
    double sum = 0.0;
    for (const Index rank : ranks) { sum += static_cast<double>(rank); }
    return sum / static_cast<double>(ranks.size());
  }
  /// The median, rounded down: open_clip's floor(median of the ranks from 0) + 1.
  double median_rank() const {
    std::vector<Index> sorted = ranks;
    std::sort(sorted.begin(), sorted.end());
    const Index middle = sorted.size() / 2;
    const Index upper = sorted[middle], lower = sorted.size() % 2 == 1 ? upper : sorted[middle - 1];
    return static_cast<double>((lower + upper) / 2);
  }
};

/// Both directions.
struct Retrieval {
  RetrievalResult image_to_text;  ///< one query for each image: "text retrieval" of CLIP_benchmark
  RetrievalResult text_to_image;  ///< one query for each caption: "image retrieval"
};

namespace detail {

/// Similarities of a few candidates at once. Each sum runs over the features in their order, whichever lane it has, so
/// that a similarity has the same bits in every block and in both directions.
constexpr Index similarity_lanes = 16;
[[gnu::noinline]] inline void similarities(const float* query, const float* candidates_by_feature, Index embed,
                                           float* out) {
  float sums[similarity_lanes] = {};
  for (Index e = 0; e < embed; ++e) {
    const float q = query[e];
    const float* const row = candidates_by_feature + e * similarity_lanes;
    for (Index lane = 0; lane < similarity_lanes; ++lane) { sums[lane] += q * row[lane]; }
  }
  for (Index lane = 0; lane < similarity_lanes; ++lane) { out[lane] = sums[lane]; }
}

/// Up to similarity_lanes rows of `features`, those that `row_of(lane)` names, turned so that a feature lies
/// contiguous.
template <class RowOf>
void turn_rows(std::span<const float> features, Index embed, Index rows, RowOf&& row_of, std::vector<float>& turned) {
  turned.assign(embed * similarity_lanes, 0.0f);
  for (Index lane = 0; lane < rows; ++lane) {
    const float* const from = features.data() + row_of(lane) * embed;
    for (Index e = 0; e < embed; ++e) { turned[e * similarity_lanes + lane] = from[e]; }
  }
}

/// True matches of every query: those of query q are candidates[first[q] .. first[q + 1]), ascending.
struct TrueMatches {
  std::vector<Index> first, candidates;
};

/// Rank of the best true match of each query. Memory: a few numbers for each query.
inline std::vector<Index> best_ranks(std::span<const float> queries, std::span<const float> candidates, Index embed,
                                     const TrueMatches& matches, TieRule ties, const char* label) {
  const Index query_count = queries.size() / embed, candidate_count = candidates.size() / embed;
  std::vector<float> best(query_count), turned;
  std::vector<Index> best_at(query_count), ranks(query_count, 1);
  float scores[similarity_lanes];
  for (Index q = 0; q < query_count; ++q) {
    bool first = true;
    for (Index at = matches.first[q]; at < matches.first[q + 1]; at += similarity_lanes) {
      const Index rows = std::min(similarity_lanes, matches.first[q + 1] - at);
      turn_rows(
          candidates, embed, rows, [&](Index lane) { return matches.candidates[at + lane]; }, turned);
      similarities(queries.data() + q * embed, turned.data(), embed, scores);
      for (Index lane = 0; lane < rows; ++lane) {
        if (first || scores[lane] > best[q]) {
          best[q] = scores[lane];
          best_at[q] = matches.candidates[at + lane];
        }
        first = false;
      }
    }
  }
  LateProgress progress(label, candidate_count);
  for (Index from = 0; from < candidate_count; from += similarity_lanes) {
    const Index rows = std::min(similarity_lanes, candidate_count - from);
    turn_rows(
        candidates, embed, rows, [&](Index lane) { return from + lane; }, turned);
    for (Index q = 0; q < query_count; ++q) {
      similarities(queries.data() + q * embed, turned.data(), embed, scores);
      for (Index lane = 0; lane < rows; ++lane) {
        if (scores[lane] > best[q]) {
          ++ranks[q];
        } else if (scores[lane] == best[q]) {
          const auto begin = matches.candidates.begin() + static_cast<std::ptrdiff_t>(matches.first[q]);
          const auto end = matches.candidates.begin() + static_cast<std::ptrdiff_t>(matches.first[q + 1]);
          const bool before =
              ties == TieRule::by_index ? from + lane < best_at[q] : !std::binary_search(begin, end, from + lane);
          ranks[q] += before ? 1 : 0;
        }
      }
    }
    progress.advance(rows);
  }
  return ranks;
}

}  // namespace detail

/// Ranks of images (N, embed) and captions (M, embed) by their inner products, which are cosines when the rows have
/// length 1. `image_of_text` (M) says which image a caption describes; an image may have any number of captions from
/// one up. A query's rank is that of its best true match among all candidates; equal similarities are ordered by
/// `ties`. Similarities are float sums in the order of the features; 16 candidates at a time are held against all
/// queries, so that nothing of size N x M exists. Errors: no images, sizes that do not fit, a caption of no image, an
/// image without captions, features that are not finite.
inline Retrieval retrieval(std::span<const float> images, std::span<const float> texts, Index embed,
                           std::span<const std::int32_t> image_of_text, TieRule ties = TieRule::by_index) {
  const std::string what = "retrieval";
  const Index image_count = embed == 0 ? 0 : images.size() / embed, text_count = image_of_text.size();
  if (image_count == 0 || images.size() != image_count * embed || texts.size() != text_count * embed) {
    fail({.what = what,
          .expected = "features (images, " + std::to_string(embed) + "), at least one row, and (" +
                      std::to_string(text_count) + ", " + std::to_string(embed) + ") of captions",
          .got = std::to_string(images.size()) + " and " + std::to_string(texts.size()) + " numbers",
          .hint = {}});
  }
  const auto finite = [](float x) { return std::isfinite(x); };
  if (!std::all_of(images.begin(), images.end(), finite) || !std::all_of(texts.begin(), texts.end(), finite)) {
    fail({.what = what, .expected = "finite features", .got = "infinity or NaN", .hint = {}});
  }
  detail::TrueMatches texts_of_image, image_of;
  texts_of_image.first.assign(image_count + 1, 0);
  for (Index t = 0; t < text_count; ++t) {
    if (image_of_text[t] < 0 || static_cast<Index>(image_of_text[t]) >= image_count) {
      fail({.what = what + ", caption " + std::to_string(t),
            .expected = "an image from 0 to " + std::to_string(image_count - 1),
            .got = std::to_string(image_of_text[t]),
            .hint = {}});
    }
    ++texts_of_image.first[static_cast<Index>(image_of_text[t]) + 1];
    image_of.first.push_back(t);
    image_of.candidates.push_back(static_cast<Index>(image_of_text[t]));
  }
  image_of.first.push_back(text_count);
  for (Index i = 0; i < image_count; ++i) {
    if (texts_of_image.first[i + 1] == 0) {
      fail({.what = what + ", image " + std::to_string(i),
            .expected = "at least one caption",
            .got = "none",
            .hint = "Leave images without captions out"});
    }
    texts_of_image.first[i + 1] += texts_of_image.first[i];
  }
  texts_of_image.candidates.resize(text_count);
  std::vector<Index> next(texts_of_image.first.begin(), texts_of_image.first.end() - 1);
  for (Index t = 0; t < text_count; ++t) {
    texts_of_image.candidates[next[static_cast<Index>(image_of_text[t])]++] = t;
  }
  Retrieval result;
  result.image_to_text.ranks = detail::best_ranks(images, texts, embed, texts_of_image, ties, "images to captions");
  result.text_to_image.ranks = detail::best_ranks(texts, images, embed, image_of, ties, "captions to images");
  return result;
}

}  // namespace radapt::task
