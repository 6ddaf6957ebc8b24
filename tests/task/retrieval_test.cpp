// Recall and ranks against a whole matrix of similarities, by hand and by sorting.
#include "radapt/task/retrieval.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "radapt/core/random.hpp"

using radapt::Index;
using namespace radapt::task;
using Labels = std::vector<std::int32_t>;
using Ranks = std::vector<Index>;

namespace {

/// Features that are small integers: every sum is exact, so that ties are real and any order of summation agrees.
std::vector<float> integers(Index rows, Index embed, std::uint64_t seed, std::uint32_t range) {
  radapt::Random random(seed);
  std::vector<float> features(rows * embed);
  for (float& f : features) { f = static_cast<float>(random.below(range)) - static_cast<float>(range / 2); }
  return features;
}

/// The rank of the best true match, by sorting all candidates.
Index sorted_rank(const std::vector<float>& scores, const std::vector<bool>& is_true, TieRule ties) {
  std::vector<Index> order(scores.size());
  for (Index i = 0; i < order.size(); ++i) { order[i] = i; }
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    if (scores[a] != scores[b]) { return scores[a] > scores[b]; }
    return ties == TieRule::pessimistic && !is_true[a] && is_true[b];
  });
  Index rank = 1;
  for (const Index i : order) {
    if (is_true[i]) { return rank; }
    ++rank;
  }
  return 0;
}

}  // namespace

TEST_CASE("ranks by hand, two captions for one image") {
  const std::vector<float> images{1, 0, 0, 1};                      // along x, along y
  const std::vector<float> texts{0.5f, 0.9f, 0.8f, 0, 0.6f, 0.7f};  // the first two describe image 0
  const Retrieval result = retrieval(images, texts, 2, Labels{0, 0, 1});
  // Image 0 sees 0.5, 0.8, 0.6: its second caption is first. Image 1 sees 0.9, 0, 0.7: its caption is second.
  CHECK(result.image_to_text.ranks == Ranks{1, 2});
  // Caption 0 sees 0.5, 0.9: image 0 is second. Captions 1 and 2 see their own first.
  CHECK(result.text_to_image.ranks == Ranks{2, 1, 1});
  CHECK(result.image_to_text.recall(1) == 0.5);
  CHECK(result.image_to_text.recall(5) == 1.0);
  CHECK(result.text_to_image.recall(1) == 2.0 / 3);
  CHECK(result.image_to_text.mean_rank() == 1.5);
  CHECK(result.text_to_image.mean_rank() == 4.0 / 3);
}

TEST_CASE("the median is open_clip's: of ranks from 0, rounded down, plus one") {
  CHECK(RetrievalResult{{1, 2}}.median_rank() == 1.0);     // 0.5 -> 0
  CHECK(RetrievalResult{{1, 4}}.median_rank() == 2.0);     // 1.5 -> 1
  CHECK(RetrievalResult{{9, 1, 4}}.median_rank() == 4.0);  // 3
  CHECK(RetrievalResult{{2, 3, 5, 9}}.median_rank() == 4.0);
}

TEST_CASE("a model that says the same of everything is told apart by the pessimistic rule") {
  const std::vector<float> images(4 * 3, 1.0f), texts(4 * 3, 1.0f);
  const Labels pairs{0, 1, 2, 3};
  CHECK(retrieval(images, texts, 3, pairs).image_to_text.ranks == Ranks{1, 2, 3, 4});
  CHECK(retrieval(images, texts, 3, pairs, TieRule::pessimistic).image_to_text.ranks == Ranks{4, 4, 4, 4});
  CHECK(retrieval(images, texts, 3, pairs, TieRule::pessimistic).text_to_image.recall(1) == 0.0);
}

TEST_CASE("blocks give what sorting the whole matrix gives, ties included") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    radapt::Random random(seed, 7);
    const Index images = 1 + random.below(40), embed = 1 + random.below(6);
    Labels image_of_text;
    for (Index i = 0; i < images; ++i) { image_of_text.push_back(static_cast<std::int32_t>(i)); }
    const Index more = random.below(90);
    for (Index i = 0; i < more; ++i) {
      image_of_text.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(images))));
    }
    // Captions of an image need not lie together, and one image may have more than a block of them.
    for (Index i = image_of_text.size(); i-- > 1;) {
      std::swap(image_of_text[i], image_of_text[random.below(static_cast<std::uint32_t>(i + 1))]);
    }
    const Index texts = image_of_text.size();
    const auto f = integers(images, embed, 100 + seed, 5), g = integers(texts, embed, 200 + seed, 5);
    const auto score = [&](Index i, Index t) {
      float sum = 0;
      for (Index e = 0; e < embed; ++e) { sum += f[i * embed + e] * g[t * embed + e]; }
      return sum;
    };
    for (int rule = 0; rule < 2; ++rule) {
      const TieRule ties = rule == 0 ? TieRule::by_index : TieRule::pessimistic;
      const Retrieval result = retrieval(f, g, embed, image_of_text, ties);
      for (Index i = 0; i < images; ++i) {
        std::vector<float> scores;
        std::vector<bool> is_true;
        for (Index t = 0; t < texts; ++t) {
          scores.push_back(score(i, t));
          is_true.push_back(image_of_text[t] == static_cast<std::int32_t>(i));
        }
        CHECK(result.image_to_text.ranks[i] == sorted_rank(scores, is_true, ties));
      }
      for (Index t = 0; t < texts; ++t) {
        std::vector<float> scores;
        std::vector<bool> is_true(images, false);
        for (Index i = 0; i < images; ++i) { scores.push_back(score(i, t)); }
        is_true[static_cast<Index>(image_of_text[t])] = true;
        CHECK(result.text_to_image.ranks[t] == sorted_rank(scores, is_true, ties));
      }
    }
  }
}

TEST_CASE("laws: recall grows with k; equal pairs are found; more true captions never hurt an image") {
  radapt::Random random(1);
  std::vector<float> features(30 * 8);
  for (float& f : features) { f = static_cast<float>(random.normal()); }
  for (Index i = 0; i < 30; ++i) {  // unit length, so that nothing is nearer to a row than itself
    float length = 0;
    for (Index e = 0; e < 8; ++e) { length += features[8 * i + e] * features[8 * i + e]; }
    for (Index e = 0; e < 8; ++e) { features[8 * i + e] /= std::sqrt(length); }
  }
  Labels pairs;
  for (Index i = 0; i < 30; ++i) { pairs.push_back(static_cast<std::int32_t>(i)); }
  const Retrieval same = retrieval(features, features, 8, pairs, TieRule::pessimistic);
  CHECK(same.image_to_text.recall(1) == 1.0);
  CHECK(same.text_to_image.recall(1) == 1.0);
  std::vector<float> turned(features.rbegin(), features.rend());
  const Retrieval wrong = retrieval(features, turned, 8, pairs);
  for (Index k = 1; k < 30; ++k) { CHECK(wrong.image_to_text.recall(k) <= wrong.image_to_text.recall(k + 1)); }
  CHECK(wrong.image_to_text.recall(30) == 1.0);
  // The first image's own features as a second caption of every image: image 0 is found at once, others do not suffer
  // by more than the captions that were added.
  std::vector<float> texts = turned;
  Labels image_of_text = pairs;
  texts.insert(texts.end(), features.begin(), features.begin() + 8);
  image_of_text.push_back(0);
  const Retrieval more = retrieval(features, texts, 8, image_of_text);
  CHECK(more.image_to_text.ranks[0] == 1);
  for (Index i = 1; i < 30; ++i) { CHECK(more.image_to_text.ranks[i] <= wrong.image_to_text.ranks[i] + 1); }
}

TEST_CASE("a similarity has the same bits in every lane and in both directions") {
  radapt::Random random(2);
  std::vector<float> a(33 * 37);
  for (float& x : a) { x = static_cast<float>(random.normal()); }
  // Every row twice: an exact duplicate must tie with its original wherever it lies.
  std::vector<float> twice = a;
  twice.insert(twice.end(), a.begin(), a.end());
  Labels image_of_text;
  for (Index t = 0; t < 66; ++t) { image_of_text.push_back(static_cast<std::int32_t>(t % 33)); }
  const auto good = retrieval(a, twice, 37, image_of_text, TieRule::pessimistic);
  Labels shifted = image_of_text;
  for (Index t = 33; t < 66; ++t) { shifted[t] = static_cast<std::int32_t>((t + 1) % 33); }
  const auto bad = retrieval(a, twice, 37, shifted, TieRule::pessimistic);
  const auto by_index = retrieval(a, twice, 37, shifted, TieRule::by_index);
  for (Index i = 0; i < 33; ++i) {
    // The copy at 33 + i ties with the original at i and is wrong: one place behind it, and none by index.
    CHECK(bad.image_to_text.ranks[i] == good.image_to_text.ranks[i] + 1);
    CHECK(by_index.image_to_text.ranks[i] == good.image_to_text.ranks[i]);
  }
}

TEST_CASE("what cannot be ranked is an error") {
  const std::vector<float> images{1, 0, 0, 1}, texts{1, 0, 0, 1};
  CHECK_THROWS_WITH_AS(retrieval(images, texts, 2, Labels{0, 0}),
                       doctest::Contains("image 1: expected at least one caption, got none"), radapt::error);
  CHECK_THROWS_WITH_AS(retrieval(images, texts, 2, Labels{0, 2}), doctest::Contains("an image from 0 to 1, got 2"),
                       radapt::error);
  CHECK_THROWS_AS(retrieval(images, texts, 3, Labels{0, 1}), radapt::error);
  CHECK_THROWS_AS(retrieval(images, texts, 2, Labels{0}), radapt::error);
  CHECK_THROWS_AS(retrieval({}, {}, 2, {}), radapt::error);
  CHECK_THROWS_AS(retrieval(images, texts, 0, Labels{0, 1}), radapt::error);
  const std::vector<float> bad{1, 0, 0, std::numeric_limits<float>::quiet_NaN()};
  CHECK_THROWS_WITH_AS(retrieval(images, bad, 2, Labels{0, 1}), doctest::Contains("finite features"), radapt::error);
}
