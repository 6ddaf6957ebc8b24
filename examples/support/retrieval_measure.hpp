#pragma once
/// Retrieval under one model: ranks in both directions, and the best answers to the first queries.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/task/late_progress.hpp"
#include "radapt/task/retrieval.hpp"

#include "captioned_data.hpp"

namespace example {

/// What the first images and captions of the test set lead to: positions of captions and of images, the best first.
struct RetrievalSamples {
  std::vector<std::vector<std::size_t>> captions_of_image = {}, images_of_caption = {};
};

inline constexpr std::size_t sampled_queries = 4;  ///< of each direction, whose best answers are kept
inline constexpr std::size_t sampled_answers = 3;  ///< of each of them

/// Positions of the candidates with the largest inner products, the best first. Rows are `width` numbers.
inline std::vector<std::size_t> nearest_rows(std::span<const float> query, std::span<const float> candidates) {
  std::vector<std::pair<float, std::size_t>> all;
  const std::size_t width = query.size();
  for (std::size_t c = 0; c < candidates.size() / width; ++c) {
    float dot = 0;
    for (std::size_t e = 0; e < width; ++e) { dot += query[e] * candidates[c * width + e]; }
    all.emplace_back(-dot, c);
  }
  const auto shown = std::min(sampled_answers, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end());
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < shown; ++i) { positions.push_back(all[i].second); }
  return positions;
}

/// Ranks of a set under these weights, and the best answers to its first queries. `who` is for the progress.
template <class Clip>
radapt::task::Retrieval measure_retrieval(const std::string& who, const radapt::Weights<Clip>& weights,
                                          const CaptionedSet& set, const radapt::Preprocess& rules,
                                          RetrievalSamples* samples = nullptr) {
  constexpr std::size_t embed = Clip::arch::embed, at_once = 64;
  radapt::Session<Clip, radapt::onednn> session(weights);
  const radapt::CaptionList list = set.list();
  auto captions = radapt::Captions::of<Clip>();
  std::vector<float> images(set.size() * embed), texts(list.captions.size() * embed), pixels;
  std::size_t first_text = 0;
  radapt::task::LateProgress progress("encoding for " + who, set.size());
  for (std::size_t first = 0; first < set.size(); first += at_once) {
    const std::size_t n = std::min(at_once, set.size() - first);
    pixels.resize(n * rules.elements());
    captions.clear();
    for (std::size_t i = 0; i < n; ++i) {
      rules(set.images[first + i], std::span<float>(pixels).subspan(i * rules.elements(), rules.elements()));
      for (const auto& ids : set.ids[first + i]) { captions.add(ids); }
    }
    session.encode_images(pixels, std::span<float>(images).subspan(first * embed, n * embed));
    session.encode_texts(captions, std::span<float>(texts).subspan(first_text * embed, captions.size() * embed));
    first_text += captions.size();
    progress.advance(n);
  }
  session.normalize(images);
  session.normalize(texts);
  if (samples != nullptr) {
    const auto row = [](const std::vector<float>& rows, std::size_t i) {
      return std::span<const float>(rows).subspan(i * embed, embed);
    };
    for (std::size_t i = 0; i < std::min(sampled_queries, set.size()); ++i) {
      samples->captions_of_image.push_back(nearest_rows(row(images, i), texts));
      const auto first = std::find(list.image_of_text.begin(), list.image_of_text.end(), static_cast<std::int32_t>(i));
      samples->images_of_caption.push_back(
          nearest_rows(row(texts, static_cast<std::size_t>(first - list.image_of_text.begin())), images));
    }
  }
  return radapt::task::retrieval(images, texts, embed, list.image_of_text);
}

}  // namespace example
