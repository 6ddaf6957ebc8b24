#pragma once
/// The picture world: captioned pictures to pre-train on, a narrow set to fine-tune on, and shifted sets to test on.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "captions.hpp"
#include "drawing.hpp"
#include "facts.hpp"
#include "random.hpp"

namespace example {

/// One picture with all that is known about it.
struct Sample {
  Picture picture = {};
  Facts facts = {};
  std::string caption = {};
  std::size_t label = 0;  ///< of the object, 0 .. count_of<Object> - 1
};

/// A named, endless set of pictures: sample `index` of a split is the same in every run and on every machine.
struct Split {
  std::string name = {};
  std::uint64_t stream = 0;  ///< splits with different streams share no picture
  FactRules rules = {};
  bool balanced = true;  ///< labels in turn (sample i shows object i mod count); otherwise random
};

/// Which pictures a world has.
struct WorldOptions {
  std::uint64_t seed = 2024;
  std::size_t size = 32;       ///< side of a picture in pixels
  double correlation = 0.9;    ///< how often an object of the fine-tuning task has its partner colours, 0 .. 1
  double rare_share = 0.25;    ///< rare objects in pre-training, relative to common ones, 0 .. 1
  double turned_share = 0.15;  ///< turned objects in pre-training, 0 .. 1
  Choices<Style> pretraining_styles = {};            ///< of pre-training; shifts may show the others
  Choices<Background> pretraining_backgrounds = {};  ///< likewise
};

/// The colours that the fine-tuning task shows; the others are left to the shift "unseen colours".
inline constexpr Choices<Colour> task_colours{Colour::red, Colour::yellow, Colour::green, Colour::blue, Colour::white};
inline constexpr Choices<Colour> unseen_colours{Colour::orange, Colour::purple, Colour::pink};
/// The backgrounds that the fine-tuning task shows; the others are left to the shift "busy backgrounds".
inline constexpr Choices<Background> task_backgrounds{Background::plain, Background::gradient};
inline constexpr Choices<Background> busy_backgrounds{Background::stripes, Background::dots, Background::checker,
                                                      Background::noise};

/// A deterministic world of captioned pictures, with splits for pre-training, fine-tuning and robustness tests.
///
/// The fine-tuning task is narrow in four ways: photos only, five of eight colours, two of six backgrounds, upright
/// objects. It is also misleading: with probability `correlation` the colours give the label away. Every shift takes
/// that correlation away, as the world outside a training set does, and widens at most one thing more; "free colours"
/// widens nothing more, so it shows what the correlation alone costs.
class PictureWorld {
 public:
  explicit PictureWorld(WorldOptions options = {}) : options_(options) {}

  const WorldOptions& options() const { return options_; }

  /// Everything there is, in every style, with random captions; some objects are rare. For pre-training.
  Split pretraining() const {
    FactRules rules;
    rules.turned_share = options_.turned_share;
    rules.rare_share = options_.rare_share;
    rules.styles = options_.pretraining_styles;
    rules.backgrounds = options_.pretraining_backgrounds;
    return Split{"pretraining", 1, rules, false};
  }
  /// Pictures like those of `pretraining`, none of them the same.
  Split pretraining_test() const {
    Split split = pretraining();
    split.name = "pretraining test";
    split.stream = 2;
    return split;
  }
  /// The narrow, misleading set to fine-tune on.
  Split train_id() const { return Split{"train", 3, task_rules(options_.correlation), true}; }
  /// Other pictures with the same facts as `train_id`: the in-distribution test.
  Split test_id() const { return Split{"test", 4, task_rules(options_.correlation), true}; }

  /// The out-of-distribution tests.
  std::vector<Split> shifts() const {
    std::vector<Split> all;
    std::uint64_t stream = 100;
    const auto add = [&](std::string name, auto&& change) {
      FactRules rules = task_rules(0);
      change(rules);
      all.push_back(Split{std::move(name), stream++, rules, true});
    };
    add("free colours", [](FactRules&) {});
    add("unseen colours", [](FactRules& rules) { rules.colours = rules.ground_colours = unseen_colours; });
    add("busy backgrounds", [](FactRules& rules) { rules.backgrounds = busy_backgrounds; });
    add("turned", [](FactRules& rules) { rules.turned_share = 1; });
    for (std::size_t style = 1; style < count_of<Style>; ++style) {
      const auto drawn = static_cast<Style>(style);
      add(std::string(example::name(drawn)), [drawn](FactRules& rules) { rules.styles = {drawn}; });
    }
    return all;
  }

  /// The shift of a given name. Errors: no shift is called that.
  Split shift(const std::string& name) const {
    std::string names;
    for (Split& split : shifts()) {
      if (split.name == name) { return std::move(split); }
      names += (names.empty() ? "" : ", ") + split.name;
    }
    radapt::fail({.what = "choosing a shift of the picture world",
                  .expected = "one of " + names,
                  .got = "'" + name + "'",
                  .hint = "Names are spelled with spaces and in lower case"});
  }

  /// The facts of sample `index` of a split, without drawing it.
  Facts facts(const Split& split, std::uint64_t index) const {
    Random random = Random::of(options_.seed, split.stream, index);
    return facts(split, index, random);
  }

  /// Sample `index` (any number) of a split. Samples are independent of each other, so they can be made in any order,
  /// by any thread.
  Sample sample(const Split& split, std::uint64_t index) const {
    Random random = Random::of(options_.seed, split.stream, index);
    Sample made;
    made.facts = facts(split, index, random);
    made.label = label(made.facts.object);
    made.caption = caption(made.facts, random);
    made.picture = draw(made.facts, random, options_.size);
    return made;
  }

  /// Samples `first` .. `first + count - 1` of a split.
  std::vector<Sample> samples(const Split& split, std::size_t count, std::uint64_t first = 0) const {
    std::vector<Sample> made;
    made.reserve(count);
    for (std::size_t i = 0; i < count; ++i) { made.push_back(sample(split, first + i)); }
    return made;
  }

  /// The names of the classes in the order of their labels.
  static std::vector<std::string> class_names() {
    return {FactNames<Object>::all.begin(), FactNames<Object>::all.end()};
  }

 private:
  static FactRules task_rules(double correlation) {
    FactRules rules;
    rules.styles = {Style::photo};
    rules.colours = rules.ground_colours = task_colours;
    rules.backgrounds = task_backgrounds;
    rules.correlation = correlation;
    return rules;
  }
  static Facts facts(const Split& split, std::uint64_t index, Random& random) {
    if (!split.balanced) { return random_facts(random, split.rules); }
    const std::size_t objects = split.rules.objects.size();
    const std::size_t rank = objects == 0 ? 0 : static_cast<std::size_t>(index % objects);
    return random_facts_of(split.rules.objects.at(rank), random, split.rules);
  }

  WorldOptions options_;
};

}  // namespace example
