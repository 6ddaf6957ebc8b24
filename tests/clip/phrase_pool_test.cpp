/// Spurious phrases: what is in the pools, which phrase a sample gets, how a caption takes it.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "radapt/clip/spurious_phrases.hpp"
#include "support/error_text.hpp"

using radapt::PhrasePool;

TEST_CASE("the pools are long enough, and no phrase stands in them twice") {
  namespace pools = radapt::spurious_phrases;
  const PhrasePool everything = pools::everything();
  for (const PhrasePool& pool : {pools::backgrounds(), pools::textures(), pools::lighting(), pools::styles()}) {
    CHECK(pool.phrases().size() >= 40);
  }
  CHECK(pools::image_quality().phrases().size() >= 20);
  const std::set<std::string> distinct(everything.phrases().begin(), everything.phrases().end());
  CHECK(distinct.size() == everything.phrases().size());
  CHECK(everything.phrases().size() > 180);
  for (const std::string& phrase : everything.phrases()) {
    CAPTURE(phrase);
    CHECK(radapt::phrase_fault(phrase).empty());
    CHECK(phrase.ends_with('.'));  // a sentence, as the class captions are
  }
}

TEST_CASE("a caption takes a phrase in the place of its full stop") {
  const PhrasePool after(std::vector<std::string>{"{} on a beach."}), before(std::vector<std::string>{"crumpled {}."});
  CHECK(after.caption("a photo of a dog.", {}) == "a photo of a dog on a beach.");
  CHECK(before.caption("a photo of a dog.", {}) == "crumpled a photo of a dog.");
  CHECK(after.caption("a photo of a dog", {}) == "a photo of a dog on a beach.");  // no last letter is lost
  CHECK(after.caption("", {}) == " on a beach.");
}

TEST_CASE("the phrase of a sample is a function of seed, step and sample, and nothing else") {
  const PhrasePool pool = radapt::spurious_phrases::everything();
  const auto drawn = [&](std::uint64_t seed, std::uint64_t step, std::uint64_t first) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < 64; ++i) { all.push_back(pool.phrase({seed, step, first + i})); }
    return all;
  };
  const auto reference = drawn(1, 2, 0);
  CHECK(drawn(1, 2, 0) == reference);
  CHECK(drawn(1, 2, std::uint64_t{1} << 40) != reference);
  CHECK(drawn(1, 3, 0) != reference);
  CHECK(drawn(1, 2 + (std::uint64_t{1} << 40), 0) != reference);
  CHECK(drawn(2, 2, 0) != reference);
  CHECK(drawn(1 + (std::uint64_t{1} << 40), 2, 0) != reference);
}

TEST_CASE("every phrase is drawn as often as any other") {
  const PhrasePool pool = radapt::spurious_phrases::backgrounds();
  const auto& phrases = pool.phrases();
  constexpr std::uint64_t steps = 200, batch = 100;
  std::vector<double> times(phrases.size());
  for (std::uint64_t step = 0; step < steps; ++step) {
    for (std::uint64_t i = 0; i < batch; ++i) {
      const auto at = std::find(phrases.begin(), phrases.end(), pool.phrase({7, step, i}));
      ++times[static_cast<std::size_t>(at - phrases.begin())];
    }
  }
  const double expected = static_cast<double>(steps * batch) / static_cast<double>(phrases.size());
  double chi_squared = 0;
  for (const double n : times) { chi_squared += (n - expected) * (n - expected) / expected; }
  // 49 degrees of freedom: mean 49, standard deviation 9.9; one list in 10^6 lies above 114.
  CHECK(chi_squared < 114);
  CHECK(chi_squared > 12);  // nor below this: draws that avoid each other would be no draws
}

TEST_CASE("spurious captions stand behind the first ones, in the order of the pairs") {
  // A text as its bytes: what an encoder must do is to give ids that end.
  const auto encode = [](const std::string& text) {
    std::vector<std::int64_t> ids;
    for (const char c : text) { ids.push_back(static_cast<unsigned char>(c)); }
    ids.push_back(256);
    return ids;
  };
  const PhrasePool pool = radapt::spurious_phrases::textures();
  const std::vector<std::string> texts{"a photo of a dog.", "a photo of a cat.", "a photo of a dog."};
  radapt::Captions captions(200, 257);
  for (const std::string& text : texts) { captions.add(encode(text)); }
  radapt::add_spurious(captions, texts, pool, 5, 9, encode);
  REQUIRE(captions.size() == 6);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto expected = encode(pool.caption(texts[i], {.seed = 5, .step = 9, .sample = i}));
    CHECK(std::equal(expected.begin(), expected.end(), captions.ids(3 + i), captions.ids(3 + i) + expected.size()));
    CHECK(captions.tokens(3 + i, 1) == expected.size());
  }
}

TEST_CASE("what is no phrase is refused with one sentence") {
  const auto message = [](const std::string& phrase) {
    return radapt_test::error_of([&] { PhrasePool{std::vector<std::string>{"{} at night.", phrase}}; });
  };
  CHECK(message("on a beach.").find("a phrase without {}") != std::string::npos);
  CHECK(message("{} and {}.").find("more braces than one {}") != std::string::npos);
  CHECK(message("{0} {}").find("more braces than one {}") != std::string::npos);
  CHECK(message("{} on\na beach.").find("a control character") != std::string::npos);
  CHECK(message("{}").empty());
  CHECK(radapt_test::fails_with("at least one phrase", [] { PhrasePool{std::vector<std::string>{}}; }));
}

TEST_CASE("a pool takes in another one, and itself") {
  PhrasePool pool(std::vector<std::string>{"{} a.", "{} b."});
  pool.add(PhrasePool(std::vector<std::string>{"{} c."})).add(pool);
  CHECK(pool.phrases() == std::vector<std::string>{"{} a.", "{} b.", "{} c.", "{} a.", "{} b.", "{} c."});
}
