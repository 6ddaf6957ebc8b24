#pragma once
/// What a picture of the picture world shows: independent facts, their names, and rules for choosing them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "radapt/core/error.hpp"

#include "random.hpp"

namespace example {

/// The thing shown: the class label.
enum class Object : std::uint8_t {
  circle,
  square,
  triangle,
  star,
  cross,
  ring,
  heart,
  arrow,
  moon,
  house,
  tree,
  fish,
  flower,
  boat,
  cup,
  bolt
};
/// The colour of the thing, or of what is behind it.
enum class Colour : std::uint8_t { red, orange, yellow, green, blue, purple, pink, white };
/// The pattern behind the thing.
enum class Background : std::uint8_t { plain, gradient, stripes, dots, checker, noise };
/// How the picture is made.
enum class Style : std::uint8_t { photo, sketch, neon, poster, chalk, negative, mosaic, watercolour };
/// Upright (up to 10 degrees off) or turned (by 60 to 300 degrees).
enum class Tilt : std::uint8_t { upright, turned };

/// The number of values of a kind of fact, and their names in the order of the enumeration.
template <class Fact>
struct FactNames;

template <>
struct FactNames<Object> {
  static constexpr std::array<std::string_view, 16> all{"circle", "square", "triangle", "star",  "cross", "ring",
                                                        "heart",  "arrow",  "moon",     "house", "tree",  "fish",
                                                        "flower", "boat",   "cup",      "bolt"};
};
template <>
struct FactNames<Colour> {
  static constexpr std::array<std::string_view, 8> all{"red",  "orange", "yellow", "green",
                                                       "blue", "purple", "pink",   "white"};
};
template <>
struct FactNames<Background> {
  static constexpr std::array<std::string_view, 6> all{"plain", "gradient", "striped", "dotted", "checkered", "noisy"};
};
template <>
struct FactNames<Style> {
  static constexpr std::array<std::string_view, 8> all{"photo", "sketch",   "neon",   "poster",
                                                       "chalk", "negative", "mosaic", "watercolour"};
};
template <>
struct FactNames<Tilt> {
  static constexpr std::array<std::string_view, 2> all{"upright", "turned"};
};

template <class Fact>
inline constexpr std::size_t count_of = FactNames<Fact>::all.size();

/// The name of a fact, as used in captions and reports.
template <class Fact>
constexpr std::string_view name(Fact fact) {
  return FactNames<Fact>::all[static_cast<std::size_t>(fact)];
}

/// All facts of one picture. Position, size and small variations come from the random numbers given to `draw`.
struct Facts {
  Object object = Object::circle;
  Colour colour = Colour::red;
  Background background = Background::plain;
  Colour ground_colour = Colour::blue;  ///< the colour of the background, never that of the object
  Style style = Style::photo;
  Tilt tilt = Tilt::upright;

  friend bool operator==(const Facts&, const Facts&) = default;
};

/// The label of an object for training: 0 .. count_of<Object> - 1.
constexpr std::size_t label(Object object) { return static_cast<std::size_t>(object); }

/// A set of values of one kind of fact.
template <class Fact>
class Choices {
 public:
  /// Every value.
  constexpr Choices() : bits_((std::uint32_t{1} << count_of<Fact>)-1) {}
  /// Exactly these values.
  constexpr Choices(std::initializer_list<Fact> facts) : bits_(0) {
    for (const Fact fact : facts) { bits_ |= bit(fact); }
  }

  constexpr bool has(Fact fact) const { return (bits_ & bit(fact)) != 0; }
  constexpr Choices without(Fact fact) const {
    Choices rest = *this;
    rest.bits_ &= ~bit(fact);
    return rest;
  }
  constexpr std::size_t size() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < count_of<Fact>; ++i) { count += (bits_ >> i) & 1U; }
    return count;
  }
  /// Member number `rank` (0 .. size - 1) in the order of the enumeration.
  constexpr Fact at(std::size_t rank) const {
    for (std::size_t i = 0; i < count_of<Fact>; ++i) {
      if (((bits_ >> i) & 1U) != 0 && rank-- == 0) { return static_cast<Fact>(i); }
    }
    radapt::fail({.what = "choosing a fact of the picture world",
                  .expected = "a rule that leaves at least one value",
                  .got = "none",
                  .hint = "The object and its background need different colours"});
  }
  /// One member, all equally likely.
  constexpr Fact pick(Random& random) const { return at(size() == 0 ? 0 : random.below(size())); }

 private:
  static constexpr std::uint32_t bit(Fact fact) { return std::uint32_t{1} << static_cast<unsigned>(fact); }
  std::uint32_t bits_;
};

/// Which facts a set of pictures may show, and how they depend on each other.
struct FactRules {
  Choices<Object> objects = {};
  Choices<Colour> colours = {};
  Choices<Background> backgrounds = {};
  Choices<Colour> ground_colours = {};
  Choices<Style> styles = {};
  double turned_share = 0;  ///< the share of turned pictures, 0 .. 1
  double correlation = 0;   ///< how often an object has its partner colours instead of random ones, 0 .. 1
  double rare_share = 1;    ///< how often a rare object appears for one appearance of a common one, 0 .. 1
};

/// The objects that are rare where `rare_share` is below one.
inline constexpr Choices<Object> rare_objects{Object::flower, Object::boat, Object::cup, Object::bolt};

/// The two colours that a correlated set of pictures ties to an object: different objects get different pairs as long
/// as there are enough pairs, so that a model could read the label off the colours alone.
struct PartnerColours {
  Colour colour;
  Colour ground_colour;
};
constexpr PartnerColours partner_colours(Object object, const FactRules& rules) {
  const std::size_t number = label(object);
  const std::size_t colours = rules.colours.size();
  const Colour colour = rules.colours.at(colours == 0 ? 0 : number % colours);
  const Choices<Colour> others = rules.ground_colours.without(colour);
  const std::size_t grounds = others.size();
  return PartnerColours{colour, others.at(grounds == 0 ? 0 : number / colours % grounds)};
}

/// Random facts about a given object, within the rules.
inline Facts random_facts_of(Object object, Random& random, const FactRules& rules) {
  Facts facts;
  facts.object = object;
  facts.style = rules.styles.pick(random);
  facts.background = rules.backgrounds.pick(random);
  facts.tilt = random.chance(rules.turned_share) ? Tilt::turned : Tilt::upright;
  facts.colour = rules.colours.pick(random);
  facts.ground_colour = rules.ground_colours.without(facts.colour).pick(random);
  if (random.chance(rules.correlation)) {
    const PartnerColours partners = partner_colours(object, rules);
    facts.colour = partners.colour;
    facts.ground_colour = partners.ground_colour;
  }
  return facts;
}

/// Random facts within the rules, the object included.
inline Facts random_facts(Random& random, const FactRules& rules = {}) {
  Object object = rules.objects.pick(random);
  // A rare object is kept with probability rare_share, else drawn again; the count of rounds is bounded for odd rules.
  for (int round = 0; round < 64 && rare_objects.has(object) && !random.chance(rules.rare_share); ++round) {
    object = rules.objects.pick(random);
  }
  return random_facts_of(object, random, rules);
}

}  // namespace example
