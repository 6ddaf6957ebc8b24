/// The picture world: its numbers, its drawing, what its captions say, and what its splits contain.
#include "examples/support/picture_world.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace example;

template <class Fact>
std::vector<Fact> every() {
  std::vector<Fact> all;
  for (std::size_t i = 0; i < count_of<Fact>; ++i) { all.push_back(static_cast<Fact>(i)); }
  return all;
}

/// FNV-1a, 64 bits.
std::uint64_t fingerprint(const Picture& picture) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint8_t byte : picture.rgb) { hash = (hash ^ byte) * 0x100000001B3U; }
  return hash;
}

/// The mean absolute difference of two pictures in grey levels, 0 .. 255.
double difference(const Picture& a, const Picture& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) { sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]}); }
  return sum / static_cast<double>(a.rgb.size());
}

Picture drawn(const Facts& facts, std::uint64_t seed = 1, std::size_t size = 32) {
  Random random(seed);
  return draw(facts, random, size);
}

/// Whether two numbers differ by at most `tolerance`, not relative to anything.
bool near(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance; }

bool mentions(const std::string& caption, std::string_view words) {
  return (" " + caption + " ").find(" " + std::string(words) + " ") != std::string::npos;
}

}  // namespace

TEST_CASE("the random numbers are those of SplitMix64") {
  // The first five outputs for the seed 1234567 as published with the algorithm's reference implementation.
  Random random(1234567);
  for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                       4593380528125082431U, 16408922859458223821U}) {
    CHECK(random.next() == expected);
  }
}

TEST_CASE("whole random numbers reach every value about equally often") {
  Random random(3);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) { ++counts.at(random.below(7)); }
  // Binomial with mean 10000 and deviation 93: five deviations.
  for (const int count : counts) { CHECK(std::abs(count - 10000) < 465); }
  CHECK_THROWS_AS(random.below(0), radapt::error);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) { seen.insert(random.between(-2, 2)); }
  CHECK(seen == std::set<std::int64_t>{-2, -1, 0, 1, 2});
}

TEST_CASE("chances hold at their ends and refuse what is no probability") {
  Random random(4);
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(random.chance(0));
    CHECK(random.chance(1));
  }
  CHECK_THROWS_AS(random.chance(1.01), radapt::error);
  CHECK_THROWS_AS(random.chance(-0.01), radapt::error);
  CHECK_THROWS_AS(random.chance(std::nan("")), radapt::error);
}

TEST_CASE("fixed-point roots are exact and sines close") {
  for (std::int64_t root : {0, 1, 2, 3, 1000, 65535, 65536, 94906265, 94906266}) {  // the last two: near 2^26.5
    CHECK(whole_root(root * root) == root);
    CHECK(whole_root(root * root + root) == root);  // below the next square for every root
    if (root > 0) { CHECK(whole_root(root * root - 1) == root - 1); }
  }
  for (std::int64_t angle = -70000; angle < 140000; angle += 77) {
    const double turn = static_cast<double>(angle) / 65536 * 2 * 3.14159265358979;
    // 1e-6 for the polynomial; four roundings down by up to 1/65536 and four rounded coefficients of half that.
    CHECK(near(static_cast<double>(sine(angle).raw) / 65536, std::sin(turn), 1e-4));
    CHECK(near(static_cast<double>(cosine(angle).raw) / 65536, std::cos(turn), 1e-4));
  }
}

TEST_CASE("objects are solid, of about one size, and their distances are distances") {
  for (const Object object : every<Object>()) {
    CAPTURE(name(object));
    std::int64_t inside = 0;
    std::int64_t points = 0;
    for (std::int64_t y = -60; y <= 60; ++y) {
      for (std::int64_t x = -60; x <= 60; ++x) {
        const Point p{Fixed::ratio(x, 40), Fixed::ratio(y, 40)};
        const Fixed here = distance(object, p);
        inside += here < Fixed{} ? 1 : 0;
        ++points;
        if (square_raw(p) > square_raw(Point{1.2_fx, Fixed{}})) { CHECK(here > Fixed{}); }
        // A distance cannot change by more than the step between two points; 1/1000 covers rounding.
        const Point beside{p.x + 0.025_fx, p.y};
        CHECK(magnitude(distance(object, beside) - here) <= 0.026_fx);
      }
    }
    const double area = static_cast<double>(inside) / static_cast<double>(points) * 9;  // of a 3 x 3 square
    CHECK(area > 0.5);  // the bolt is the smallest: still a sixth of the circle's square
    CHECK(area < 2.6);
  }
}

TEST_CASE("the drawing is pinned: recorded fingerprints of one picture per style") {
  // Computed with this code, to notice any change of the drawing: a changed world makes results of the examples
  // incomparable.
  const std::map<Style, std::uint64_t> recorded{
      {Style::photo, 0xCD909156AAF1C641U},  {Style::sketch, 0xE3F2ED599AA2A11FU},
      {Style::neon, 0x6799E5ACF216A5E6U},   {Style::poster, 0x15D14C150B3231ECU},
      {Style::chalk, 0x75196118BBBDB68AU},  {Style::negative, 0x54A9EE95E87ECF24U},
      {Style::mosaic, 0x45DD5D78993846A5U}, {Style::watercolour, 0xBA5F0266066871FDU}};
  Facts facts;
  facts.object = Object::fish;
  facts.colour = Colour::orange;
  facts.ground_colour = Colour::blue;
  facts.background = Background::noise;
  for (const Style style : every<Style>()) {
    CAPTURE(name(style));
    facts.style = style;
    facts.tilt = style == Style::chalk ? Tilt::turned : Tilt::upright;
    CHECK(fingerprint(drawn(facts, 77)) == recorded.at(style));
  }
}

TEST_CASE("the splits are pinned: recorded fingerprints of the first thirty-two samples") {
  const PictureWorld world;
  const auto combined = [&](const Split& split) {
    std::uint64_t hash = 0;
    for (const Sample& sample : world.samples(split, 32)) {
      hash = scramble(hash ^ fingerprint(sample.picture));
      for (const char letter : sample.caption) { hash = scramble(hash ^ static_cast<unsigned char>(letter)); }
    }
    return hash;
  };
  CHECK(combined(world.pretraining()) == 0x7331016582B80621U);
  CHECK(combined(world.train_id()) == 0xDC396038A66A9B72U);
  CHECK(combined(world.shift("busy backgrounds")) == 0x4E0FC320779CF0F2U);
}

TEST_CASE("samples do not depend on the order in which they are made") {
  const PictureWorld world;
  const Split split = world.pretraining();
  const std::vector<Sample> forwards = world.samples(split, 20, 5);
  for (std::size_t i = 20; i-- > 0;) {
    const Sample again = world.sample(split, 5 + i);
    CHECK(again.picture == forwards[i].picture);
    CHECK(again.caption == forwards[i].caption);
    CHECK(again.facts == forwards[i].facts);
    CHECK(again.facts == world.facts(split, 5 + i));
    CHECK(again.label == label(again.facts.object));
  }
  WorldOptions other;
  other.seed = 1;
  CHECK_FALSE(PictureWorld(other).sample(split, 5).picture == forwards[0].picture);
}

TEST_CASE("every style differs visibly from every other") {
  for (const Style a : every<Style>()) {
    for (const Style b : every<Style>()) {
      if (a >= b) { continue; }
      CAPTURE(name(a));
      CAPTURE(name(b));
      double mean = 0;
      for (std::uint64_t seed = 0; seed < 24; ++seed) {
        Random random(seed);
        Facts facts = random_facts(random);
        facts.style = a;
        const Picture one = drawn(facts, seed);
        facts.style = b;
        mean += difference(one, drawn(facts, seed)) / 24;
      }
      // Noise between two photos of the same scene is about 4; a mosaic is the nearest to a photo.
      CHECK(mean > 12);
    }
  }
}

TEST_CASE("every object can be told from every other in every style") {
  for (const Style style : every<Style>()) {
    for (const Object a : every<Object>()) {
      for (const Object b : every<Object>()) {
        if (a >= b) { continue; }
        CAPTURE(name(style));
        CAPTURE(name(a));
        CAPTURE(name(b));
        Facts facts;
        facts.style = style;
        facts.object = a;
        const Picture one = drawn(facts);
        facts.object = b;
        // Same pose, colours and noise: what differs is the shape alone.
        CHECK(difference(one, drawn(facts)) > 2.5);
      }
    }
  }
}

TEST_CASE("what captions may name can be seen, and what they may not cannot") {
  for (const Style style : every<Style>()) {
    CAPTURE(name(style));
    Facts facts;
    facts.style = style;
    facts.background = Background::stripes;
    facts.object = Object::square;
    facts.colour = Colour::red;
    facts.ground_colour = Colour::white;
    const Picture before = drawn(facts);
    Facts other = facts;
    other.colour = Colour::blue;
    const double colour = difference(before, drawn(other));
    if (shows_colour(style)) {
      CHECK(colour > 5);
    } else {
      CHECK(colour == 0);
    }
    other = facts;
    other.ground_colour = Colour::green;
    const double ground = difference(before, drawn(other));
    if (shows_ground_colour(style)) {
      CHECK(ground > 10);
    } else {
      CHECK(ground < 8);  // a neon sign tints its wall a little
    }
    other = facts;
    other.background = Background::plain;
    CHECK(difference(before, drawn(other)) > 2);
    other = facts;
    other.tilt = Tilt::turned;
    CHECK(difference(before, drawn(other)) > 2);
  }
}

TEST_CASE("a picture can be drawn in any size and shows the same scene") {
  Facts facts;
  facts.style = Style::poster;
  facts.object = Object::house;
  const Picture small = drawn(facts, 5, 32);
  const Picture large = drawn(facts, 5, 128);
  CHECK(large.width == 128);
  CHECK(large.height == 128);
  Picture reduced(32, 32);
  for (std::size_t y = 0; y < 32; ++y) {
    for (std::size_t x = 0; x < 32; ++x) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::size_t sum = 0;
        for (std::size_t k = 0; k < 16; ++k) { sum += large.rgb[large.offset(4 * x + k % 4, 4 * y + k / 4) + channel]; }
        reduced.rgb[reduced.offset(x, y) + channel] = static_cast<std::uint8_t>(sum / 16);
      }
    }
  }
  // Only edge pixels may differ, and only as far as a ramp of one pixel differs from an exact mean.
  CHECK(difference(small, reduced) < 4);
  CHECK_THROWS_AS(drawn(facts, 1, 7), radapt::error);
  CHECK_THROWS_AS(drawn(facts, 1, 1025), radapt::error);
  for (const Style style : every<Style>()) {
    facts.style = style;
    CHECK(drawn(facts, 1, 8).rgb.size() == 192);
    CHECK(drawn(facts, 1, 47).rgb.size() == 47 * 47 * 3);
  }
}

TEST_CASE("an object and its background never share a colour") {
  const PictureWorld world;
  std::vector<Split> splits = world.shifts();
  splits.push_back(world.pretraining());
  splits.push_back(world.train_id());
  for (const Split& split : splits) {
    for (std::uint64_t i = 0; i < 500; ++i) {
      const Facts facts = world.facts(split, i);
      CHECK(facts.colour != facts.ground_colour);
      CHECK(split.rules.objects.has(facts.object));
      CHECK(split.rules.colours.has(facts.colour));
      CHECK(split.rules.ground_colours.has(facts.ground_colour));
      CHECK(split.rules.backgrounds.has(facts.background));
      CHECK(split.rules.styles.has(facts.style));
    }
  }
  FactRules impossible;
  impossible.colours = impossible.ground_colours = {Colour::red};
  Random random(1);
  CHECK_THROWS_AS(random_facts(random, impossible), radapt::error);
}

TEST_CASE("labels of the task are balanced exactly") {
  const PictureWorld world;
  std::vector<Split> splits = world.shifts();
  splits.push_back(world.train_id());
  splits.push_back(world.test_id());
  for (const Split& split : splits) {
    CAPTURE(split.name);
    std::vector<int> counts(count_of<Object>);
    for (std::uint64_t i = 0; i < 10 * count_of<Object>; ++i) { ++counts[label(world.facts(split, i).object)]; }
    for (const int count : counts) { CHECK(count == 10); }
  }
}

TEST_CASE("rare objects are rare in pre-training, and the others alike") {
  WorldOptions options;
  options.rare_share = 0.25;
  const PictureWorld world(options);
  std::vector<int> counts(count_of<Object>);
  for (std::uint64_t i = 0; i < 26000; ++i) { ++counts[label(world.facts(world.pretraining(), i).object)]; }
  // 12 common and 4 rare objects share 26000 as 12 + 4 / 4 = 13 parts: 2000 and 500, with deviations below 45 and 23.
  for (const Object object : every<Object>()) {
    CAPTURE(name(object));
    const int expected = rare_objects.has(object) ? 500 : 2000;
    CHECK(std::abs(counts[label(object)] - expected) < (expected == 500 ? 115 : 225));
  }
}

TEST_CASE("the training set ties colours to labels as often as asked, and the shifts do not") {
  const auto tied = [](const PictureWorld& world, const Split& split) {
    int count = 0;
    for (std::uint64_t i = 0; i < 8000; ++i) {
      const Facts facts = world.facts(split, i);
      const PartnerColours partners = partner_colours(facts.object, world.train_id().rules);
      count += facts.colour == partners.colour && facts.ground_colour == partners.ground_colour ? 1 : 0;
    }
    return count / 8000.0;
  };
  for (const double correlation : {0.0, 0.5, 0.9, 1.0}) {
    WorldOptions options;
    options.correlation = correlation;
    const PictureWorld world(options);
    // By chance one of 5 x 4 pairs of colours is the partner pair. Five deviations of a share of 8000 are below 0.028.
    const double expected = correlation + (1 - correlation) / 20;
    CHECK(near(tied(world, world.train_id()), expected, 0.028));
    CHECK(near(tied(world, world.test_id()), expected, 0.028));
    CHECK(near(tied(world, world.shift("free colours")), 0.05, 0.028));
  }
  // A model can read the label off the colours only if no two objects share a pair.
  std::set<std::pair<Colour, Colour>> pairs;
  for (const Object object : every<Object>()) {
    const PartnerColours partners = partner_colours(object, PictureWorld().train_id().rules);
    pairs.insert({partners.colour, partners.ground_colour});
  }
  CHECK(pairs.size() == count_of<Object>);
}

TEST_CASE("every shift changes what it says, and the names are all different") {
  const PictureWorld world;
  std::set<std::string> names;
  std::set<std::uint64_t> streams;
  std::vector<Split> splits = world.shifts();
  CHECK(splits.size() == 11);
  splits.insert(splits.end(), {world.pretraining(), world.pretraining_test(), world.train_id(), world.test_id()});
  for (const Split& split : splits) {
    names.insert(split.name);
    streams.insert(split.stream);
  }
  CHECK(names.size() == splits.size());
  CHECK(streams.size() == splits.size());
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Facts train = world.facts(world.train_id(), i);
    CHECK(train.style == Style::photo);
    CHECK(train.tilt == Tilt::upright);
    CHECK(task_colours.has(train.colour));
    CHECK(task_backgrounds.has(train.background));
    CHECK_FALSE(task_colours.has(world.facts(world.shift("unseen colours"), i).colour));
    CHECK_FALSE(task_backgrounds.has(world.facts(world.shift("busy backgrounds"), i).background));
    CHECK(world.facts(world.shift("turned"), i).tilt == Tilt::turned);
    for (std::size_t style = 1; style < count_of<Style>; ++style) {
      const Facts shifted = world.facts(world.shift(std::string(name(static_cast<Style>(style)))), i);
      CHECK(shifted.style == static_cast<Style>(style));
      CHECK(shifted.tilt == Tilt::upright);
    }
  }
  CHECK_THROWS_WITH_AS(world.shift("sketches"), doctest::Contains("free colours, unseen colours"), radapt::error);
}

TEST_CASE("no picture of one split appears in another") {
  const PictureWorld world;
  std::set<std::uint64_t> seen;
  std::size_t count = 0;
  for (const Split& split : {world.train_id(), world.test_id(), world.pretraining(), world.pretraining_test()}) {
    for (const Sample& sample : world.samples(split, 100)) {
      seen.insert(fingerprint(sample.picture));
      ++count;
    }
  }
  CHECK(seen.size() == count);
}

TEST_CASE("captions use the vocabulary, all of it, and nothing else") {
  const std::vector<std::string> words = vocabulary();
  CHECK(std::is_sorted(words.begin(), words.end()));
  const std::set<std::string> known(words.begin(), words.end());
  CHECK(known.size() == words.size());
  std::set<std::string> used;
  std::size_t longest = 0;
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    FactRules rules;
    rules.turned_share = 0.3;
    const Facts facts = random_facts(random, rules);
    const std::vector<std::string> said = words_of(caption(facts, random));
    longest = std::max(longest, said.size());
    used.insert(said.begin(), said.end());
  }
  for (const Object object : every<Object>()) {
    for (const std::string& prompt : class_prompts(object)) {
      for (const std::string& word : words_of(prompt)) { CHECK(known.count(word) == 1); }
    }
  }
  CHECK(used == known);
  CHECK(longest <= longest_caption());
  CHECK(longest + 1 >= longest_caption());
}

TEST_CASE("captions tell the truth and name nothing that cannot be seen") {
  int colours_named = 0;
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    FactRules rules;
    rules.turned_share = 0.5;
    const Facts facts = random_facts(random, rules);
    const std::string text = caption(facts, random);
    CAPTURE(text);
    CHECK(mentions(text, name(facts.object)));
    CHECK((!mentions(text, "turned") || (facts.tilt == Tilt::turned && shows_tilt(facts.object))));
    for (const Object object : every<Object>()) { CHECK(mentions(text, name(object)) == (object == facts.object)); }
    for (const Style style : every<Style>()) {
      if (mentions(text, medium(style))) { CHECK(style == facts.style); }
    }
    for (const Background background : every<Background>()) {
      if (mentions(text, name(background))) { CHECK(background == facts.background); }
    }
    for (const Colour colour : every<Colour>()) {
      if (!mentions(text, name(colour))) { continue; }
      ++colours_named;
      CHECK(((colour == facts.colour && shows_colour(facts.style)) ||
             (colour == facts.ground_colour && shows_ground_colour(facts.style))));
    }
    const std::vector<std::string> words = words_of(text);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      const bool vowel = std::string("aeiou").find(words[i + 1][0]) != std::string::npos;
      if (words[i] == "a") { CHECK_FALSE(vowel); }
      if (words[i] == "an") { CHECK(vowel); }
    }
  }
  CHECK(colours_named > 1000);  // or the checks of colours would have checked nothing
}

TEST_CASE("captions, prompts and class names read as intended") {
  Facts facts;
  facts.object = Object::arrow;
  facts.colour = Colour::orange;
  facts.ground_colour = Colour::white;
  facts.background = Background::dots;
  facts.style = Style::negative;
  CHECK(fill_in("{a} {medium} of {a} {colour} {object} on {a} {ground} {background} background", facts) ==
        "a negative of an orange arrow on a white dotted background");
  facts.tilt = Tilt::turned;
  CHECK(fill_in("{a} {object}", facts) == "a turned arrow");
  CHECK(fill_in("{a} {plain object}", facts) == "an arrow");
  facts.object = Object::ring;
  CHECK(fill_in("{a} {object}", facts) == "a ring");
  CHECK_THROWS_WITH_AS(fill_in("{size} {object}", facts), doctest::Contains("'size'"), radapt::error);
  CHECK_THROWS_AS(fill_in("a {object", facts), radapt::error);
  CHECK(class_prompt(Object::tree) == "a photo of a tree");
  CHECK(class_prompt(Object::arrow, Style::neon) == "a neon sign of an arrow");
  CHECK(class_prompts(Object::cup).size() == 1 + count_of<Style>);
  CHECK(PictureWorld::class_names().at(label(Object::heart)) == "heart");
}

TEST_CASE("a contact sheet holds every picture where it should be") {
  Facts facts;
  std::vector<Picture> pictures;
  for (std::uint64_t seed = 0; seed < 5; ++seed) { pictures.push_back(drawn(facts, seed, 8)); }
  const Picture sheet = contact_sheet(pictures, 3, 2, 1);
  CHECK(sheet.width == 3 * 17 + 1);
  CHECK(sheet.height == 2 * 17 + 1);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::size_t from = pictures[i].offset(7, 3);
    const std::size_t to = sheet.offset(1 + i % 3 * 17 + 15, 1 + i / 3 * 17 + 6);
    for (std::size_t channel = 0; channel < 3; ++channel) {
      CHECK(sheet.rgb[to + channel] == pictures[i].rgb[from + channel]);
    }
  }
  CHECK(sheet.rgb[sheet.offset(0, 0)] == 255);
  CHECK(sheet.rgb[sheet.offset(40, 25)] == 255);  // the place of the sixth picture stays white
  CHECK_THROWS_AS(contact_sheet({}, 3), radapt::error);
  CHECK_THROWS_AS(contact_sheet(pictures, 0), radapt::error);
  pictures.push_back(drawn(facts, 1, 9));
  CHECK_THROWS_WITH_AS(contact_sheet(pictures, 3), doctest::Contains("different sizes"), radapt::error);
}
