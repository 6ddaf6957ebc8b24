#pragma once
/// What robustness does: every method under every seed from one pre-trained CLIP, each result written down as soon as
/// it is there, and what has been written down not done again.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "radapt/clip/spurious_phrases.hpp"
#include "radapt/io/adapter_file.hpp"
#include "radapt/io/json_lines.hpp"
#include "radapt/io/load.hpp"
#include "radapt/io/tokenizer_files.hpp"

#include "fine_tune_job.hpp"
#include "json_line.hpp"
#include "method_study.hpp"
#include "study_key.hpp"
#include "task_pictures.hpp"

namespace example {

/// The options of robustness: those of fine_tune, and where results are kept.
struct RobustnessSettings {
  FineTuneSettings study = {};
  std::filesystem::path results = "results.jsonl";
  std::vector<std::string> methods = {};  ///< only these; all if empty
  MethodRates rates = {};
  TaskPictureData tasks = {};  ///< what the report shows of other tasks
};

/// What results depend on, beside method and seed.
inline std::string study_key(const RobustnessSettings& s) {
  const StudyOptions& o = s.study.study;
  const std::string device = s.study.device == "cpu" ? "" : " " + s.study.device;
  return digest(fmt::format("{} {} {} {} {} {} {} {} {} {}{}", pretraining_key(s.study), o.steps, o.batch, o.momentum,
                            o.tau, o.alpha, s.study.crop, fmt::join(s.rates.full, ","), fmt::join(s.rates.head, ","),
                            fmt::join(s.rates.adapter, ","), device));
}

/// A result as a line of the file, and back.
inline nlohmann::ordered_json record_of(const MethodResult& r, std::uint64_t seed, const std::string& key) {
  nlohmann::ordered_json record{{"study", key}};
  record.update(result_record(r, seed));
  record["type"] = r.type;
  record["trained"] = r.trained_parameters;
  record["samples"] = r.sample_predictions;
  return record;
}
inline MethodResult result_of(const nlohmann::json& record) {
  MethodResult r{.name = record.at("result"), .type = record.at("type")};
  r.lr = record.at("lr");
  r.alpha = record.at("alpha");
  r.seconds = record.at("seconds");
  r.trained_parameters = record.at("trained");
  r.accuracies = {.id = record.at("id"), .shifts = record.at("shifts")};
  r.sample_predictions = record.at("samples").get<std::vector<std::int32_t>>();
  for (const auto& t : record.value("tried", nlohmann::json::array())) {
    r.tried.push_back({t.at("lr"), t.at("validation")});
  }
  for (const auto& p : record.value("curve", nlohmann::json::array())) {
    r.curve.push_back({.alpha = p.at("alpha"),
                       .accuracies = {.id = p.at("id"), .shifts = p.at("shifts")},
                       .validation = p.at("validation")});
  }
  return r;
}

/// Whether it could have been measured: percentages on so many shifts, times and rates that are no less than nothing.
inline bool is_plausible(const MethodResult& r, std::size_t shifts) {
  const auto percent = [](double x) { return x >= 0 && x <= 100; };
  const auto measured = [&](const Accuracies& a) {
    return percent(a.id) && a.shifts.size() == shifts && std::all_of(a.shifts.begin(), a.shifts.end(), percent);
  };
  const auto not_below_zero = [](double x) { return x >= 0 && std::isfinite(x); };
  return !r.name.empty() && measured(r.accuracies) && not_below_zero(r.seconds) && not_below_zero(r.lr) &&
         std::isfinite(r.alpha) &&
         std::all_of(r.tried.begin(), r.tried.end(),
                     [&](const TriedRate& t) { return not_below_zero(t.lr) && percent(t.validation); }) &&
         std::all_of(r.curve.begin(), r.curve.end(), [&](const CurvePoint& p) {
           return std::isfinite(p.alpha) && measured(p.accuracies) && percent(p.validation);
         });
}

/// Results by method and seed.
using ResultTable = std::map<std::pair<std::string, std::uint64_t>, MethodResult>;

/// The results of this study in a file that earlier runs wrote. A line that is no record, such as one that a run could
/// not finish, is named and left out.
inline ResultTable read_results(const std::filesystem::path& path, const std::string& key, std::size_t shifts) {
  ResultTable results;
  std::ifstream file(path);
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    try {
      const auto record = json_of_line(line);
      if (record.is_object() && (!record.contains("result") || record.value("study", std::string()) != key)) {
        continue;
      }
      MethodResult result = result_of(record);
      if (!is_plausible(result, shifts)) { throw std::out_of_range("what no study measures"); }
      results[{result.name, record.at("seed").get<std::uint64_t>()}] = std::move(result);
    } catch (const std::exception&) {
      fmt::print(stderr, "{}, line {}: no record of results, left out\n", path.string(), number);
    }
  }
  return results;
}

/// Leaves out results whose predictions are not for the pictures of this study.
inline void keep_what_fits(ResultTable& results, const StudyData& data, std::size_t samples) {
  const auto classes = static_cast<std::int32_t>(data.class_names.size());
  std::erase_if(results, [&](const auto& entry) {
    const std::vector<std::int32_t>& said = entry.second.sample_predictions;
    const bool fits = said.size() == samples && std::all_of(said.begin(), said.end(), [&](std::int32_t label) {
                        return label >= 0 && label < classes;
                      });
    if (!fits) {
      fmt::print(stderr, "{}, seed {}: predictions for other pictures, left out\n", entry.first.first,
                 entry.first.second);
    }
    return !fits;
  });
}

/// Names as methods have them, of what stood between commas: without spaces around, and together where a name has a
/// comma of its own, as "R-Adapter, alpha 1" has.
inline std::vector<std::string> whole_names(const std::vector<MethodGroup>& groups,
                                            const std::vector<std::string>& asked) {
  const auto is_name = [&](const std::string& name) {
    return std::any_of(groups.begin(), groups.end(), [&](const MethodGroup& group) {
      return std::find(group.names.begin(), group.names.end(), name) != group.names.end();
    });
  };
  std::vector<std::string> names;
  for (const std::string& part : asked) {
    const std::size_t first = part.find_first_not_of(' '), last = part.find_last_not_of(' ');
    const std::string name = first == std::string::npos ? "" : part.substr(first, last - first + 1);
    if (!names.empty() && !is_name(name) && is_name(names.back() + ", " + name)) {
      names.back() += ", " + name;
    } else {
      names.push_back(name);
    }
  }
  return names;
}

/// The methods that were asked for. Error: a name that no method has.
inline void keep_asked_for(std::vector<MethodGroup>& groups, const std::vector<std::string>& asked) {
  if (asked.empty()) { return; }
  std::string names;
  for (const MethodGroup& group : groups) {
    for (const std::string& name : group.names) { names += (names.empty() ? "'" : "', '") + name; }
  }
  for (const std::string& name : whole_names(groups, asked)) {
    if (names.find("'" + name + "'") == std::string::npos && !(names + "'").ends_with("'" + name + "'")) {
      radapt::fail(
          {.what = "option --methods", .expected = "any of " + names + "'", .got = "'" + name + "'", .hint = ""});
    }
  }
  const std::vector<std::string> wanted = whole_names(groups, asked);
  std::erase_if(groups, [&](const MethodGroup& group) {
    return std::none_of(group.names.begin(), group.names.end(), [&](const std::string& name) {
      return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
    });
  });
}

/// Where a study keeps its pre-trained model, and the averaged R-Adapters of its first seed.
inline std::filesystem::path base_folder(const RobustnessSettings& s) {
  std::filesystem::path folder = s.results;
  return s.study.from.empty() ? folder.replace_extension("base-" + pretraining_key(s.study)) : s.study.from;
}
inline std::filesystem::path adapter_file(const RobustnessSettings& s) {
  std::filesystem::path file = s.results;
  return file.replace_extension("r_adapter-" + study_key(s) + ".safetensors");
}

/// The pre-trained model of this study: loaded, or taken from where an earlier run put it, or trained and put there.
template <class Arch, class Backend>
radapt::Weights<radapt::Clip<Arch>> base_of(const RobustnessSettings& settings, const DomainStudyData& domains,
                                            const Encode& encode, StudyOutcome& outcome, RunFiles& runs) {
  using Clip = radapt::Clip<Arch>;
  const FineTuneSettings& s = settings.study;
  if (!s.from.empty()) { return radapt::load<Clip>(s.from); }
  const std::filesystem::path folder = base_folder(settings);
  std::error_code ignored;
  if (std::filesystem::exists(folder / "model.safetensors", ignored)) {
    fmt::print("pre-trained model: {}\n", folder.string());
    return radapt::load<Clip>(folder);
  }
  auto base = pretrain<Arch, Backend>(domains.pairs(encode, s.split_seed), s.study.batch, s.pretrain_steps,
                                      s.pretrain_lr, s.split_seed, outcome.pretraining_losses, {}, &runs);
  radapt::save(folder, base, radapt::names::Origin::huggingface);
  radapt::copy_tokenizer_files(s.vocabulary, folder);
  runs.remove();
  return base;
}

/// The whole program for architecture Arch.
template <class Arch, class Backend = radapt::onednn>
void robustness(const RobustnessSettings& settings) {
  using Clip = radapt::Clip<Arch>;
  const FineTuneSettings& s = settings.study;
  const bool pretrains = s.from.empty();
  const auto start = std::chrono::steady_clock::now();
  const radapt::Preprocess rules =
      pretrains ? radapt::Preprocess::openai(Arch::image) : preprocessing_of(s.from, Arch::image);
  RunFiles runs(s.checkpoints, s.checkpoint_every, run_key(s));
  Encode encode;
  const bool has_vocabulary = !pretrains || !s.vocabulary.empty();
  if (has_vocabulary) {
    encode = [tokenizer = tokenizer_of<Arch>(s.from, s.vocabulary)](const std::string& text) {
      return tokenizer.context(text, Arch::context);
    };
  }
  auto asked_for = MethodStudy<Arch, Backend>::names(has_vocabulary);
  keep_asked_for(asked_for, settings.methods);
  const std::string key = study_key(settings);
  ResultTable results = read_results(settings.results, key, s.ood.size());
  radapt::JsonLines file(settings.results);

  const DomainStudyData domains(s, rules);
  if (!encode) { encode = word_encoder(domains.domain_names, domains.class_names); }
  StudyData data = domains.study(encode);
  if (has_vocabulary) {
    const radapt::PhrasePool pool = radapt::spurious_phrases::everything();
    const std::uint64_t seed = s.split_seed;
    data.spurious = [encode, pool, seed, &domains, &s](std::int32_t label, std::uint64_t draw) {
      const auto captions = domain_captions(s.id, domains.class_names[static_cast<std::size_t>(label)]);
      radapt::Random random(seed + 17, draw);
      const std::string& caption = captions[random.below(static_cast<std::uint32_t>(captions.size()))];
      return encode(pool.caption(caption, {.seed = seed, .sample = draw}));
    };
  } else {
    fmt::print("StarFT is left out: its captions need a tokenizer that knows their words (--vocabulary)\n");
  }

  std::size_t samples = 0;
  for (const ImageSet& shift : data.shifts) {
    samples += std::min(MethodStudy<Arch, Backend>::samples_per_shift, shift.size());
  }
  keep_what_fits(results, data, samples);

  StudyOutcome outcome;
  const radapt::Weights<Clip> base = base_of<Arch, Backend>(settings, domains, encode, outcome, runs);
  std::map<std::string, double> chosen;
  for (std::uint64_t seed = 0; seed < s.seeds; ++seed) {
    StudyOptions options = s.study;
    options.seed = seed;
    options.run_files = &runs;
    MethodStudy<Arch, Backend> study(base, data, options, settings.rates, chosen);
    auto groups = study.groups();
    keep_asked_for(groups, settings.methods);
    std::vector<MethodResult> run;
    for (const MethodGroup& group : groups) {
      const bool keeps_adapters =
          seed == 0 && std::find(group.names.begin(), group.names.end(), "R-Adapter") != group.names.end();
      const bool there = std::all_of(group.names.begin(), group.names.end(),
                                     [&](const std::string& name) {
                                       return results.contains({name, seed});
                                     }) &&
                         !(keeps_adapters && settings.tasks.any() && !std::filesystem::exists(adapter_file(settings)));
      if (there) {
        for (const std::string& name : group.names) {
          run.push_back(results.at({name, seed}));
          if (!run.back().tried.empty()) { chosen[name] = run.back().lr; }
        }
        continue;
      }
      fmt::print("seed {} of {}: {}\n", seed + 1, s.seeds, fmt::join(group.names, ", "));
      for (MethodResult& r : group.run()) {
        if (!results.contains({r.name, seed})) { file.write(record_of(r, seed, key)); }
        run.push_back(std::move(r));
      }
      if (keeps_adapters) { radapt::save_adapters(adapter_file(settings), study.adapted(), /*averaged=*/true); }
      runs.remove();
    }
    outcome.runs.push_back(std::move(run));
  }

  const RunFacts facts{.counts = domains.counts(),
                       .parameters = radapt::count<Clip>(),
                       .image = Arch::image,
                       .seconds = seconds_since(start)};
  print(accuracy_table(outcome, data));
  print(choice_table(outcome));
  const auto add_tasks = [&](Report& report) {
    if (!settings.tasks.any()) { return; }
    TaskPictureModels models{
        .checkpoint = base_folder(settings), .vocabulary = s.vocabulary, .is_small_clip = pretrains};
    for (const MethodResult& r : outcome.runs[0]) {
      if (r.name != "R-Adapter") { continue; }
      models.adapters = adapter_file(settings);
      // What validation chose may be next to nothing: all of the adapters stand beside it.
      models.alphas = r.alpha == 1 ? std::vector<double>{1} : std::vector<double>{r.alpha, 1};
    }
    write_task_pictures(report, settings.tasks, models);
  };
  write_fine_tune_report(s, facts, outcome, data, domains.samples(MethodStudy<Arch>::samples_per_shift), add_tasks);
  fmt::print("\nresults: {}   report: {}   this run: {:.0f} s\n", settings.results.string(), s.report.string(),
             seconds_since(start));
}

}  // namespace example
