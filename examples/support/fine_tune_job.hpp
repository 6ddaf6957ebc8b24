#pragma once
/// What fine_tune does for one architecture: read the domains, pre-train or load, run the methods under several seeds.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/io/adapter_file.hpp"
#include "radapt/io/json_lines.hpp"
#include "radapt/io/tokenizer_files.hpp"

#include "checkpoint_model.hpp"
#include "domain_captions.hpp"
#include "domains.hpp"
#include "fine_tune_report.hpp"
#include "study.hpp"
#include "study_key.hpp"

namespace example {

/// Reads the domains and makes of them what a study works on. Of every domain a share is set apart for pre-training;
/// the rest of `id` is train, validation and test, the rest of each `ood` a test set.
class DomainStudyData {
 public:
  DomainStudyData(const FineTuneSettings& settings, const radapt::Preprocess& rules)
      : settings_(settings), rules_(rules) {
    const bool pretrains = settings.from.empty();
    const double pretraining_share = settings.pretraining_share.value_or(pretrains ? 0.5 : 0.0);
    std::vector<std::string> names{settings.id};
    names.insert(names.end(), settings.ood.begin(), settings.ood.end());
    const std::vector<Domain> domains = list_domains(settings.data, names);
    domain_names = names;
    class_names = domains[0].class_names;
    std::vector<std::vector<std::vector<DomainFile>>> parts;
    const double rest = 1 - pretraining_share;
    for (std::size_t d = 0; d < domains.size(); ++d) {
      parts.push_back(split(domains[d],
                            d == 0 ? std::vector<double>{pretraining_share, 0.5 * rest, 0.2 * rest, 0.3 * rest}
                                   : std::vector<double>{pretraining_share, rest},
                            settings.split_seed, settings.limit));
    }
    std::size_t total = 0;
    for (std::size_t d = 0; d < domains.size(); ++d) {
      for (std::size_t part = pretrains ? 0 : 1; part < parts[d].size(); ++part) { total += parts[d][part].size(); }
    }
    radapt::Progress progress("reading images", total);
    // A quarter larger than the model's images, so that a crop keeps its sharpness.
    radapt::Preprocess larger = rules;
    larger.size = rules.size + rules.size / 4;
    for (std::size_t d = 0; d < domains.size(); ++d) {
      const std::string& name = domains[d].name;
      if (pretrains) { pretraining_.push_back(decode(name + " to pre-train on", parts[d][0], larger, progress)); }
      if (d == 0) {
        train_ = decode(name + " to train on", parts[d][1], larger, progress);
        validation_ = decode(name + " to choose on", parts[d][2], rules, progress);
      }
      test_.push_back(decode(name + " to test on", parts[d].back(), rules, progress));
    }
  }
  DomainStudyData(const DomainStudyData&) = delete;
  DomainStudyData& operator=(const DomainStudyData&) = delete;

  /// What the methods see; it refers to this object.
  StudyData study(const Encode& encode) const {
    StudyData data;
    data.train = train_set(settings_.id, train_, rules_, settings_.crop);
    data.train_as_tested = resized_set(settings_.id, train_, rules_);
    data.validation = test_set(settings_.id + " validation", validation_, rules_);
    data.test = test_set(in_words(settings_.id) + " (ID)", test_[0], rules_);
    for (std::size_t d = 1; d < domain_names.size(); ++d) {
      data.shifts.push_back(test_set(in_words(domain_names[d]), test_[d], rules_));
    }
    data.class_names = class_names;
    for (const std::string& name : class_names) {
      Texts prompts, captions;
      for (const std::string& text : class_prompts(domain_names, name)) { prompts.push_back(encode(text)); }
      for (const std::string& text : domain_captions(settings_.id, name)) { captions.push_back(encode(text)); }
      data.prompts.push_back(prompts);
      data.captions.push_back(captions);
    }
    return data;
  }

  /// Endless captioned pictures of all domains, each at most once an epoch, in an order that `seed` gives.
  PairSource pairs(const Encode& encode, std::uint64_t seed) const {
    struct State {
      std::vector<ImageSet> sets;
      std::vector<std::vector<Texts>> captions;             // by domain and class
      std::vector<std::pair<std::size_t, std::size_t>> at;  // domain and picture
      Sampler sampler{0, 0};
      std::uint64_t drawn = 0;
    };
    const auto state = std::make_shared<State>();
    for (std::size_t d = 0; d < pretraining_.size(); ++d) {
      state->sets.push_back(train_set(domain_names[d], pretraining_[d], rules_, settings_.pretraining_crop));
      for (std::size_t i = 0; i < pretraining_[d].labels.size(); ++i) { state->at.emplace_back(d, i); }
      state->captions.emplace_back();
      for (const std::string& name : class_names) {
        state->captions.back().emplace_back();
        for (const std::string& text : domain_captions(domain_names[d], name)) {
          state->captions.back().back().push_back(encode(text));
        }
      }
    }
    state->sampler = Sampler(state->at.size(), seed);
    return {[state, seed](std::span<float> pixels) {
      const auto& [domain, picture] = state->at[state->sampler.next()];
      const ImageSet& set = state->sets[domain];
      const std::uint64_t draw = seed << 32U | state->drawn++;
      set.copy(picture, draw, pixels);
      const Texts& texts = state->captions[domain][static_cast<std::size_t>(set.labels[picture])];
      radapt::Random random(seed, draw);
      return texts[random.below(static_cast<std::uint32_t>(texts.size()))];
    }};
  }

  /// The first pictures of each shift, in the order of a study's sample predictions.
  std::vector<Picture> samples(std::size_t per_shift) const {
    std::vector<Picture> pictures;
    for (std::size_t d = 1; d < test_.size(); ++d) {
      for (std::size_t i = 0; i < per_shift && i < test_[d].images.size(); ++i) {
        pictures.push_back(picture_of(test_[d].images[i]));
      }
    }
    return pictures;
  }
  DataCounts counts() const {
    DataCounts n{.train = train_.labels.size(), .validation = validation_.labels.size()};
    for (const Pictures& p : pretraining_) { n.pretraining += p.labels.size(); }
    for (const Pictures& p : test_) { n.test.push_back(p.labels.size()); }
    for (const std::vector<Pictures>* list : {&pretraining_, &test_}) {
      for (const Pictures& p : *list) { n.skipped += p.skipped; }
    }
    n.skipped += train_.skipped + validation_.skipped;
    return n;
  }

  std::vector<std::string> domain_names, class_names;

 private:
  const FineTuneSettings& settings_;
  radapt::Preprocess rules_;
  std::vector<Pictures> pretraining_;  ///< by domain; empty where nothing is pre-trained
  Pictures train_, validation_;
  std::vector<Pictures> test_;  ///< by domain, the first is in distribution
};

/// The whole program, for checkpoints of architecture Arch or, without a checkpoint, for an Arch from nothing.
template <class Arch, class Backend = radapt::onednn>
void fine_tune(const FineTuneSettings& settings) {
  using Clip = radapt::Clip<Arch>;
  const auto start = std::chrono::steady_clock::now();
  const bool pretrains = settings.from.empty();
  const radapt::Preprocess rules =
      pretrains ? radapt::Preprocess::openai(Arch::image) : preprocessing_of(settings.from, Arch::image);

  // What is quick to fail comes first.
  RunFiles runs(settings.checkpoints, settings.checkpoint_every,
                settings.checkpoints.empty() ? std::string() : run_key(settings));
  Encode encode;
  if (!pretrains || !settings.vocabulary.empty()) {
    encode = [tokenizer = tokenizer_of<Arch>(settings.from, settings.vocabulary)](const std::string& text) {
      return tokenizer.context(text, Arch::context);
    };
  }
  const DomainStudyData domains(settings, rules);
  if (!encode) { encode = word_encoder(domains.domain_names, domains.class_names); }
  const StudyData data = domains.study(encode);

  radapt::JsonLines log(settings.log);
  log.write(run_record(settings, domains.counts()));
  StudyOptions options = settings.study;
  options.run_files = &runs;
  options.log = [&log](const StepRecord& step) { log.write(step_record(step)); };

  StudyOutcome outcome;
  RunFacts facts{.counts = domains.counts(), .parameters = radapt::count<Clip>(), .image = Arch::image};
  radapt::Weights<Clip> base;
  if (pretrains) {
    const auto begin = std::chrono::steady_clock::now();
    base = pretrain<Arch, Backend>(domains.pairs(encode, settings.split_seed), options.batch, settings.pretrain_steps,
                                   settings.pretrain_lr, settings.split_seed, outcome.pretraining_losses, options.log,
                                   &runs);
    facts.pretraining_seconds = seconds_since(begin);
  } else {
    base = radapt::load<Clip>(settings.from);
  }
  if (!settings.save.empty() && pretrains) {
    radapt::save(settings.save / "base", base, radapt::names::Origin::huggingface);
    radapt::copy_tokenizer_files(settings.vocabulary, settings.save / "base");
  }

  for (std::uint64_t seed = 0; seed < settings.seeds; ++seed) {
    if (settings.seeds > 1) { fmt::print("seed {} of {}\n", seed + 1, settings.seeds); }
    options.seed = seed;
    Study<Arch, Backend> study(base, data, options);
    std::vector<MethodResult> run;
    const auto add = [&](MethodResult r) {
      log.write(result_record(r, seed));  // at once: what is done is not lost
      run.push_back(std::move(r));
    };
    add(study.zero_shot());
    for (MethodResult& r : study.full_and_wise_ft()) { add(std::move(r)); }
    if (settings.flyp) { add(study.flyp()); }
    add(study.r_adapter());
    if (seed == 0) {
      // The rates that the first seed chose are those of the others: one choice, and fewer runs.
      for (const MethodResult& r : run) {
        if (r.name == "full fine-tuning") { options.full_lr = r.lr; }
        if (r.name == "FLYP") { options.flyp_lr = r.lr; }
        if (r.name == "R-Adapter") { options.adapter_lr = r.lr; }
      }
      options.full_lrs = options.flyp_lrs = options.adapter_lrs = {};
      if (!settings.save.empty()) {
        std::filesystem::create_directories(settings.save);
        radapt::save_adapters(settings.save / "r_adapter.safetensors", study.adapted(), /*averaged=*/true);
      }
    }
    outcome.runs.push_back(std::move(run));
  }

  facts.seconds = seconds_since(start);
  print(accuracy_table(outcome, data));
  print(choice_table(outcome));
  write_fine_tune_report(settings, facts, outcome, data, domains.samples(Study<Arch>::samples_per_shift));
  if (!settings.save.empty()) {
    fmt::print("\n{}: the averaged adapters of the first seed{}", (settings.save / "r_adapter.safetensors").string(),
               pretrains ? ", and their base in " + (settings.save / "base").string() : std::string());
  }
  runs.remove();
  fmt::print("\nreport: {}   log: {}   total time: {:.0f} s\n", settings.report.string(), settings.log.string(),
             facts.seconds);
}

}  // namespace example
