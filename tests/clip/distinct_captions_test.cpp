/// Equal captions are found, and run once.
#include "radapt/clip/distinct_captions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "support/caption_counter.hpp"
#include "support/tolerance.hpp"

using namespace radapt;
using radapt_test::caption_counter;

namespace {

struct Tiny : arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 7, vocabulary = 16;
  static constexpr TowerSize vision{16, 2, 1, 32}, text{16, 2, 2, 32};
};
using Model = Clip<Tiny>;
using Ids = std::vector<std::int64_t>;

/// One is the beginning of another, two differ in one id, and three stand several times, apart and side by side.
const std::vector<Ids> texts{{14, 1, 15},          {14, 1, 2, 15}, {14, 1, 15}, {14, 3, 15}, {14, 3, 15},   {15},
                             {14, 1, 2, 3, 4, 15}, {14, 1, 15},    {15},        {14, 3, 15}, {14, 2, 1, 15}};
const std::vector<Index> places{0, 1, 0, 2, 2, 3, 4, 0, 3, 2, 5};
constexpr Index distinct = 6;

Captions captions_of(const std::vector<Ids>& all) {
  Captions captions = Captions::of<Model>();
  for (const Ids& ids : all) { captions.add(ids); }
  return captions;
}
template <class T>
Weights<Model, T> weights() {
  Weights<Model, T> w;
  initialise_clip(w, 3);
  return w;
}
/// y + up down y behind every MLP, composed of layers that know nothing of alpha.
struct Composed {
  template <class Site, Index D>
  using at = std::conditional_t<std::is_same_v<typename Site::place, site::after_mlp>,
                                Residual<Sequential<Named<"down", Projection<D, 2, role::adapter>>,
                                                    Named<"up", Projection<2, D, role::adapter>>>>,
                                Identity>;
};
/// Features of the texts in pieces of `piece`.
template <class Backend, class T>
std::vector<T> features(Session<Model, Backend, T>& session) {
  std::vector<T> out(texts.size() * Tiny::embed, T{-1});
  session.encode_texts(captions_of(texts), out);
  return out;
}

}  // namespace

TEST_CASE("distinct captions stand in the order of first appearance, and every caption has its place") {
  const Captions captions = captions_of(texts);
  DistinctCaptions found;
  for (int again = 0; again < 2; ++again) {
    found.find(captions);
    REQUIRE(found.size() == distinct);
    CHECK(std::vector<Index>(found.places().begin(), found.places().end()) == places);
    for (Index i = 0; i < texts.size(); ++i) {
      const auto ids = found.captions().caption(places[i]);
      CHECK(std::equal(ids.begin(), ids.end(), texts[i].begin(), texts[i].end()));
      CHECK(places[i] <= i);
    }
    CHECK(found.captions().tokens(0, distinct) == 3 + 4 + 3 + 1 + 6 + 4);
  }
  found.find(captions, 7, 4);
  CHECK(found.size() == 4);
  CHECK(std::vector<Index>(found.places().begin(), found.places().end()) == std::vector<Index>{0, 1, 2, 3});
  found.find(captions, 2, 0);
  CHECK(found.size() == 0);
  CHECK(found.places().empty());
}
TEST_CASE("many captions of few ids are told apart") {
  // Every caption of up to five ids of four, twice: 1,365 distinct ones, which share slots of the table.
  std::vector<Ids> all;
  for (Index length = 0; length <= 5; ++length) {
    for (Index code = 0; code < (Index{1} << (2 * length)); ++code) {
      Ids ids;
      for (Index t = 0; t < length; ++t) { ids.push_back(static_cast<std::int64_t>((code >> (2 * t)) & 3U)); }
      ids.push_back(15);
      all.push_back(ids);
    }
  }
  REQUIRE(all.size() == 1365);
  Captions captions = captions_of(all);
  for (const Ids& ids : all) { captions.add(ids); }
  DistinctCaptions found;
  found.find(captions);
  CHECK(found.size() == all.size());
  bool right = true;
  for (Index i = 0; i < captions.size(); ++i) { right = right && found.places()[i] == i % all.size(); }
  CHECK(right);
}
TEST_CASE("a session runs equal captions once, wherever they stand") {
  const auto w = weights<double>();
  for (const Index piece : {Index{3}, Index{64}}) {
    CAPTURE(piece);
    Session<Model, caption_counter<reference>, double> session(w, {.captions = piece});
    const auto all = features(session);
    CHECK(session.context().device.captions == (piece == 3 ? std::vector<Index>{3, 3} : std::vector<Index>{6}));
    std::vector<double> alone(all.size());
    for (Index i = 0; i < texts.size(); ++i) {
      session.encode_texts(captions_of({texts[i]}), std::span<double>(alone).subspan(i * Tiny::embed, Tiny::embed));
    }
    // Products with another number of rows round differently (docs/numerics.md).
    CHECK(radapt_test::normalised_error(all, alone) < 1e-14);
  }
}
TEST_CASE("features of equal captions are equal to the bit") {
  const auto w = weights<float>();
  Session<Model, onednn> session(w, {.captions = 4});
  const auto all = features(session);
  for (Index i = 0; i < texts.size(); ++i) {
    for (Index j = 0; j < i; ++j) {
      const bool equal = std::memcmp(&all[i * Tiny::embed], &all[j * Tiny::embed], Tiny::embed * sizeof(float)) == 0;
      CHECK(equal == (places[i] == places[j]));
    }
  }
}
TEST_CASE("a session refuses sizes that it could not work in, and parts of rows") {
  const auto w = weights<float>();
  const auto refuses = [&](SessionSize size, const char* message) {
    CHECK_THROWS_WITH_AS((Session<Model, onednn>(w, size)), doctest::Contains(message), error);
  };
  refuses({.images = 0}, "images: expected 1 to 2147483647, got 0");
  refuses({.captions = 0}, "captions: expected 1 to 2147483647, got 0");
  refuses({.adapter_alpha = std::nan("")}, "adapter_alpha: expected a finite number");
  using Adapted = Clip<Tiny, Composed>;
  const Weights<Adapted> adapted;
  CHECK_THROWS_WITH_AS((Session<Adapted, onednn>(adapted, {.adapter_alpha = 0.5})),
                       doctest::Contains("adapter_alpha: expected 1, since not all adapters"), error);
  const Session<Adapted, onednn> in_full(adapted, {.adapter_alpha = 1.0});
  const Session<Model, onednn> without_any(w, {.adapter_alpha = 0.5});
  Session<Model, onednn> session(w);
  std::vector<float> one(Tiny::embed);
  Captions larger(Tiny::context + 1, Tiny::vocabulary);
  larger.add(texts[0]);
  CHECK_THROWS_WITH_AS(session.encode_texts(larger, one),
                       doctest::Contains("encode_texts: expected captions for a model with a context of 7 tokens of "
                                         "16, got captions for 8 tokens of 16"),
                       error);
  Captions mine = captions_of(texts);
  CHECK_THROWS_AS(mine.add(larger, 0), error);
  CHECK_THROWS_WITH_AS(mine.caption(texts.size()), doctest::Contains("expected one of 11"), error);
  CHECK_THROWS_AS(mine.add(captions_of(texts), texts.size()), error);
  // Captions of a smaller model fit.
  Captions smaller(Tiny::context - 1, Tiny::vocabulary);
  smaller.add(texts[0]);
  session.encode_texts(smaller, one);
  for (const Index numbers : {Index{0}, Tiny::embed + 1}) {
    CHECK_THROWS_WITH_AS(zero_shot_classifier(w, std::vector<float>(numbers)),
                         doctest::Contains("a zero-shot head: expected rows of 8 numbers"), error);
  }
  CHECK_THROWS_WITH_AS((ClassifierSession<Classifier<Model>, onednn>(Weights<Classifier<Model>>(0))),
                       doctest::Contains("a classifier: expected at least one class"), error);
  std::vector<float> features(2 * Tiny::embed - 1, 1.0F);
  CHECK_THROWS_WITH_AS(session.normalize(features), doctest::Contains("normalize: expected rows of"), error);
  CHECK(features[0] == 1.0F);
}
TEST_CASE("captions that are all distinct give the bits that they gave") {
  const auto w = weights<float>();
  const std::vector<Ids> some{texts[0], texts[1], texts[3], texts[5]};
  Session<Model, onednn> session(w);
  std::vector<float> got(some.size() * Tiny::embed), expected(got.size());
  session.encode_texts(captions_of(some), got);
  const Captions captions = captions_of(some);
  Context<onednn> c;
  c.sequences = captions.sequences();
  using TextPlan = Plan<Model::Text, TokenRow, float, tune::nothing, false>;
  c.arena.reserve(0, TextPlan::forward_scratch(c.sequences.extent()));
  Unsaved none;
  Model::Text::forward<float, TokenRow>(
      c, w.tree().text, View<const std::int32_t, TokenRow>{captions.ids(), captions.tokens(0, captions.size())},
      View<float, Samples<Tiny::embed>>{expected.data(), some.size()}, none);
  CHECK(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0);
}
TEST_CASE("a zero-shot head runs equal prompts once") {
  const auto w = weights<double>();
  Session<Model, caption_counter<reference>, double> session(w);
  const Captions prompts = captions_of({texts[0], texts[1], texts[0], texts[3], texts[1]});
  const auto head = zero_shot_weights(session, prompts, {2, 3});
  CHECK(session.context().device.captions == std::vector<Index>{3});
  const auto once = zero_shot_weights(session, captions_of({texts[0], texts[1]}), {2});
  CHECK(radapt_test::normalised_error(std::span(head).first(Tiny::embed), once) < 1e-14);
}
