/// Measures a CLIP checkpoint under distribution shift, from WebDataset shards or image folders. Proves: every metric
/// of radapt/task on one pass over the data, and the same numbers for any number of decoding threads.
///
///     evaluate --model DIR --classes names.json --id 'cifar10-test-{000..002}.tar' --ood 'ood-{000..001}.tar'
///
///     evaluate --model DIR --id pacs/photo --ood pacs/sketch --out results.jsonl --baseline others.jsonl
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <variant>

#include "compiled_architectures.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/json_lines.hpp"
#include "radapt/io/loader.hpp"
#include "radapt/io/webdataset.hpp"
#include "radapt/task/accuracy.hpp"
#include "radapt/task/bootstrap.hpp"
#include "radapt/task/calibration.hpp"
#include "radapt/task/confusion_matrix.hpp"
#include "radapt/task/effective_robustness.hpp"
#include "radapt/task/label_projection.hpp"
#include "radapt/train/progress.hpp"
#include "support/checkpoint_model.hpp"
#include "support/command_line.hpp"
#include "support/json_line.hpp"
#include "support/outputs.hpp"

namespace {

using radapt::Index;
namespace task = radapt::task;

/// Logits and labels of the images of a set that could be read.
struct Scored {
  std::vector<float> logits;  // (images, classes)
  std::vector<std::int32_t> labels;
  std::set<std::int32_t> classes;  ///< those of the set, whether or not an image of them was read
  Index skipped = 0;
};

/// A set that is there.
using Source = std::variant<radapt::WebDataset, radapt::FolderSource>;

/// What is measured on one set; shares from 0 to 1.
struct Measured {
  std::string name;
  Index images = 0, skipped = 0, classes = 0;
  task::Interval top1;
  double mean_per_class = 0, macro_f1 = 0, worst = 0, calibration_error = 0;
  std::string worst_class;

  nlohmann::ordered_json json() const {
    return {{"set", name},
            {"images", images},
            {"skipped", skipped},
            {"classes", classes},
            {"top1", top1.estimate},
            {"top1_interval", {top1.low, top1.high}},
            {"mean_per_class", mean_per_class},
            {"macro_f1", macro_f1},
            {"worst_class", worst_class},
            {"worst_class_accuracy", worst},
            {"ece", calibration_error}};
  }
};

/// The metrics of a set. Where it lacks some of the classes, only the others' columns are scored.
Measured measure(const std::string& name, const Scored& scored, const std::vector<std::string>& class_names) {
  const std::vector<std::int32_t> kept(scored.classes.begin(), scored.classes.end());
  const auto logits = task::LabelProjection::subset(class_names.size(), kept)(scored.logits);
  std::vector<std::int32_t> labels;
  for (const std::int32_t label : scored.labels) {
    labels.push_back(static_cast<std::int32_t>(std::lower_bound(kept.begin(), kept.end(), label) - kept.begin()));
  }
  const auto predicted = task::predict(logits, kept.size());
  task::ConfusionMatrix matrix(kept.size());
  matrix.add(predicted, labels);
  const auto by_class = task::group_accuracy(predicted, labels, labels, kept.size());
  return {
      .name = name,
      .images = labels.size(),
      .skipped = scored.skipped,
      .classes = kept.size(),
      .top1 = task::bootstrap_mean(task::hits(predicted, labels)),
      .mean_per_class = matrix.mean_per_class_accuracy(),
      .macro_f1 = matrix.macro_f1(),
      .worst = by_class.worst,
      .calibration_error = task::calibration(task::confidences(logits, kept.size()), predicted, labels).expected_error,
      .worst_class = class_names[static_cast<std::size_t>(kept[by_class.worst_group])]};
}

/// The names in a JSON list of strings.
std::vector<std::string> read_class_names(const std::string& file) {
  const std::vector<std::byte> bytes = radapt::read_file(file);
  const nlohmann::json list = radapt::parse_json_value(bytes, file, {.bytes = 1 << 24});
  std::vector<std::string> names;
  if (list.is_array()) {
    for (const auto& name : list) {
      if (name.is_string()) { names.push_back(name.get<std::string>()); }
    }
  }
  if (names.empty() || names.size() != list.size()) {
    radapt::fail({.what = "class names in '" + file + "'",
                  .expected = "a JSON list of strings, such as [\"cat\", \"dog\"]",
                  .got = list.is_array() ? std::to_string(list.size()) + " entries, " + std::to_string(names.size()) +
                                               " of them strings"
                                         : "a JSON " + std::string(list.type_name()),
                  .hint = "Label i stands for the i-th name"});
  }
  return names;
}

/// The line through the accuracies of other models.
struct Baseline {
  task::BaselineLine line;
  Index models = 0;
};

/// A set's place, however it was written.
std::string place_of(const std::string& set) {
  std::string place = std::filesystem::absolute(set).lexically_normal().string();
  if (place.size() > 1 && place.back() == '/') { place.pop_back(); }
  return place;
}
/// The places of the sets that a line of results is about, the one at home first; of other sets, or none, if it is no
/// such line.
std::vector<std::string> places_of(const nlohmann::json& result) {
  std::vector<std::string> places;
  const auto add = [&](const nlohmann::json& set) {
    places.push_back(set.is_object() && set.contains("set") && set["set"].is_string() ? place_of(set["set"]) : "");
  };
  add(result["id"]);
  if (result.contains("shifts") && result["shifts"].is_array()) {
    for (const auto& shift : result["shifts"]) { add(shift); }
  }
  return places;
}

/// That of the models that earlier runs have written, about the same `sets`: a line through others' accuracies says
/// nothing of them. Errors: no file, lines of something else.
Baseline read_baseline(const std::string& path, const std::vector<std::string>& sets) {
  std::vector<std::string> places;
  for (const std::string& set : sets) { places.push_back(place_of(set)); }
  std::ifstream file(path);
  std::vector<double> id, ood;
  std::string wrong = file ? "" : "no file that can be read";
  Index number = 0;
  for (std::string line; wrong.empty() && std::getline(file, line);) {
    ++number;
    const auto result = example::json_of_line(line);
    const bool fits = result.is_object() && result.contains("ood") && result["ood"].is_number() &&
                      result.contains("id") && result["id"].is_object() && result["id"].contains("top1") &&
                      result["id"]["top1"].is_number();
    if (!fits) {
      wrong = (result.is_object() && result.contains("id") && result["id"].is_object() && !result.contains("ood")
                   ? "a run without --ood in line "
                   : "something else in line ") +
              std::to_string(number);
      break;
    }
    if (const auto others = places_of(result); others != places) {
      wrong = fmt::format("{} in line {}", fmt::join(others, " and "), number);
      break;
    }
    id.push_back(result["id"]["top1"]);
    ood.push_back(result["ood"]);
  }
  if (!wrong.empty()) {
    radapt::fail({.what = "the baseline in '" + path + "'",
                  .expected = fmt::format("lines that evaluate --out has written, of at least two models on {}",
                                          fmt::join(places, " and ")),
                  .got = wrong,
                  .hint = "Evaluate the models to compare with on the same sets first, all into one file"});
  }
  return {task::BaselineLine::fit(id, ood), id.size()};
}

struct Job {
  std::string model, vocabulary, id, classes, out, baseline;
  std::vector<std::string> ood, templates{"a photo of a {}."};
  Index batch = 32, limit = 0;
  unsigned threads = 0;

  template <class Arch>
  void operator()() const {
    example::check_output_file(out);
    std::vector<std::string> places{id};
    places.insert(places.end(), ood.begin(), ood.end());
    std::optional<Baseline> others;
    if (!baseline.empty()) {
      if (ood.empty()) {
        radapt::fail({.what = "--baseline",
                      .expected = "a set with --ood to compare on",
                      .got = "none",
                      .hint = "Effective robustness is accuracy under shift beyond the baseline's"});
      }
      others = read_baseline(baseline, places);
    }
    const std::vector<std::string> names = classes.empty() ? names_of_folder(id) : read_class_names(classes);
    std::vector<Source> sources;  // before the work begins
    for (const std::string& place : places) { sources.push_back(open(place, names)); }

    using Model = radapt::Clip<Arch>;
    radapt::Session<Model, radapt::onednn> session(radapt::load_mapped<Model>(model), {.images = batch});
    const std::vector<float> head = head_of<Model>(session, names);
    std::vector<Measured> measured;
    for (Index i = 0; i < places.size(); ++i) {
      std::visit(
          [&](const auto& source) {
            measured.push_back(
                measure(places[i], scores_of<Model>(session, head, source, places[i], names.size()), names));
          },
          sources[i]);
    }
    Outcome all{.at_home = measured[0], .shifts = {measured.begin() + 1, measured.end()}};
    for (const Measured& shift : all.shifts) {
      all.mean_ood += shift.top1.estimate / static_cast<double>(all.shifts.size());
    }
    // The line is drawn through logits of accuracies.
    const auto has_logit = [](double accuracy) { return accuracy > 0 && accuracy < 1; };
    if (others && has_logit(all.at_home.top1.estimate) && has_logit(all.mean_ood)) {
      all.effective_robustness = task::effective_robustness(others->line, all.at_home.top1.estimate, all.mean_ood);
    }
    if (!out.empty()) { write(all); }
    print(all, others, names.size());
  }

 private:
  struct Outcome {
    Measured at_home;
    std::vector<Measured> shifts;
    double mean_ood = 0;
    std::optional<double> effective_robustness{};  ///< beyond a baseline
  };

  static bool is_shards(const std::string& place) { return place.ends_with(".tar"); }
  static std::vector<std::string> names_of_folder(const std::string& place) {
    if (is_shards(place)) {
      radapt::fail({.what = "--classes",
                    .expected = "a JSON list of the classes' names",
                    .got = "none",
                    .hint = "Shards hold numbers; only the folders of --id would have names"});
    }
    return radapt::ImageFolder(place).class_names();
  }
  template <class Model>
  std::vector<float> head_of(auto& session, const std::vector<std::string>& names) const {
    const auto tokenizer = example::tokenizer_of<typename Model::arch>(model, vocabulary);
    auto prompts = radapt::Captions::of<Model>();
    for (const std::string& name : names) {
      for (const std::string& text : templates) {
        prompts.add(tokenizer.context(radapt::fill_template(text, name), Model::arch::context));
      }
    }
    return radapt::zero_shot_weights(session, prompts, std::vector<Index>(names.size(), templates.size()));
  }

  static Source open(const std::string& place, const std::vector<std::string>& names) {
    if (is_shards(place)) { return radapt::WebDataset(place, {.needs_label = true}); }
    const radapt::ImageFolder folder(place);
    const std::vector<std::string>& folders = folder.class_names();
    if (folders != names) {
      const auto other = std::mismatch(names.begin(), names.end(), folders.begin(), folders.end());
      const auto name = [](auto at, auto end) { return at == end ? std::string("none") : "'" + *at + "'"; };
      radapt::fail({.what = "the classes of '" + place + "'",
                    .expected = fmt::format("{} folders, named as the classes, and behind {} that are the folder {}",
                                            names.size(), other.first - names.begin(), name(other.first, names.end())),
                    .got = fmt::format("{} folders, and there {}", folders.size(), name(other.second, folders.end())),
                    .hint = "Give the names in the order of the folders' alphabet, or take shards"});
    }
    return radapt::FolderSource(folder);
  }
  /// The classes of all images of a set, of which not all will be read.
  static void add_classes(std::set<std::int32_t>& classes, const radapt::FolderSource& source) {
    for (const auto& sample : source.folder().samples()) { classes.insert(static_cast<std::int32_t>(sample.label)); }
  }
  static void add_classes(std::set<std::int32_t>& classes, const radapt::WebDataset& source) {
    radapt::Progress progress("reading labels", source.size());
    for (Index i = 0; i < source.size(); ++i) {
      try {
        if (const std::int32_t label = source.label(i); label >= 0) { classes.insert(label); }
      } catch (const radapt::error&) {}  // named and counted where it is drawn
      progress.advance(1);
    }
  }
  template <class Model>
  Scored scores_of(auto& session, const std::vector<float>& head, const auto& source, const std::string& place,
                   Index classes_of_head) const {
    constexpr Index embed = Model::arch::embed;
    radapt::LoaderOptions options;
    options.batch = batch;
    options.threads = threads;
    options.shuffle = limit > 0;  // shards may be sorted by class
    radapt::Loader loader(source, example::preprocessing_of(model, Model::arch::image), options);
    Scored scored;
    radapt::ImageBatch images;
    std::vector<float> features;
    const Index wanted = limit == 0 ? source.size() : std::min(limit, source.size());
    if (wanted < source.size()) { add_classes(scored.classes, source); }
    radapt::Progress progress("evaluating " + place.substr(place.find_last_of('/', place.size() - 2) + 1), wanted);
    while (scored.labels.size() < wanted && loader.next(images)) {
      const Index n = std::min(images.size(), wanted - scored.labels.size());
      features.resize(n * embed);
      session.encode_images(std::span<const float>(images.pixels).first(n * Model::PixelRow::width), features);
      session.normalize(features);
      for (Index i = 0; i < n; ++i) {
        const std::int32_t label = images.labels[i];
        if (label < 0 || static_cast<Index>(label) >= classes_of_head) {
          radapt::fail({.what = "the label of '" + source.name(images.samples[i]) + "'",
                        .expected = "a number from 0 to " + std::to_string(classes_of_head - 1),
                        .got = std::to_string(label),
                        .hint = "--classes must name every class"});
        }
        scored.labels.push_back(label);
        scored.classes.insert(label);
        for (Index c = 0; c < classes_of_head; ++c) {
          const float cosine = std::inner_product(features.begin() + static_cast<std::ptrdiff_t>(i * embed),
                                                  features.begin() + static_cast<std::ptrdiff_t>((i + 1) * embed),
                                                  head.begin() + static_cast<std::ptrdiff_t>(c * embed), 0.0F);
          scored.logits.push_back(session.scale() * cosine);
        }
      }
      progress.advance(n);
    }
    scored.skipped = loader.skipped().size();
    return scored;
  }

  static void print(const Outcome& all, const std::optional<Baseline>& others, Index all_classes) {
    const auto& [at_home, shifts, mean_ood, effective_robustness] = all;
    fmt::print("{:<36} {:>7} {:>8} {:>21} {:>10} {:>9} {:>6}  {}\n", "in %", "images", "classes", "top-1 (95 %)",
               "per class", "macro-F1", "ECE", "worst class");
    const auto row = [&](const Measured& m) {
      const std::string name = m.name.size() <= 36 ? m.name : "..." + m.name.substr(m.name.size() - 33);
      fmt::print("{:<36} {:>7} {:>8} {:>6.1f} ({:>5.1f} .. {:>5.1f}) {:>10.1f} {:>9.1f} {:>6.1f}  {:.1f} {}\n", name,
                 m.images, m.classes, 100 * m.top1.estimate, 100 * m.top1.low, 100 * m.top1.high,
                 100 * m.mean_per_class, 100 * m.macro_f1, 100 * m.calibration_error, 100 * m.worst, m.worst_class);
    };
    row(at_home);
    for (const Measured& shift : shifts) { row(shift); }
    for (const Measured* m : with(at_home, shifts)) {
      if (m->classes < all_classes) {
        fmt::print("{}: scored over its {} of {} classes\n", m->name, m->classes, all_classes);
      }
      if (m->skipped > 0) { fmt::print("{}: {} samples could not be read\n", m->name, m->skipped); }
    }
    if (shifts.empty()) { return; }
    fmt::print("shift costs {:.1f} points: {:.1f} % against {:.1f} %\n", 100 * (at_home.top1.estimate - mean_ood),
               100 * mean_ood, 100 * at_home.top1.estimate);
    if (effective_robustness) {  // a line always goes through two models
      fmt::print(
          "effective robustness {:+.1f} points (the baseline explains {:.0f} % of the variance of its {} models)\n",
          100 * *effective_robustness, 100 * others->line.r_squared, others->models);
    } else if (others) {
      fmt::print("effective robustness: none, since the baseline has no accuracy of 0 or 100 %\n");
    }
  }
  static std::vector<const Measured*> with(const Measured& first, const std::vector<Measured>& others) {
    std::vector<const Measured*> all{&first};
    for (const Measured& other : others) { all.push_back(&other); }
    return all;
  }
  void write(const Outcome& all) const {
    const auto& [at_home, shifts, mean_ood, effective_robustness] = all;
    nlohmann::ordered_json result{{"model", model}, {"id", at_home.json()}, {"shifts", nlohmann::json::array()}};
    for (const Measured& shift : shifts) { result["shifts"].push_back(shift.json()); }
    if (!shifts.empty()) { result["ood"] = mean_ood; }
    if (effective_robustness) { result["effective_robustness"] = *effective_robustness; }
    radapt::JsonLines(out).write(result);
  }
};

}  // namespace

int main(int argc, char** argv) try {
  Job job;
  CLI::App app{"Accuracy, calibration and robustness of a CLIP checkpoint on shards or folders of images", "evaluate"};
  app.add_option("--model", job.model, "Checkpoint folder (transformers or open_clip)")->required();
  app.add_option("--vocabulary", job.vocabulary, "Tokenizer folder or BPE file, if not beside the weights");
  app.add_option("--id", job.id,
                 "Test set of the training distribution: WebDataset shards (*.tar, {000..012}) or a folder")
      ->required();
  app.add_option("--ood", job.ood, "Another set, with shift; may be given several times")->allow_extra_args(false);
  app.add_option("--classes", job.classes, "JSON list of class names; without it, the folders' names");
  app.add_option("--template", job.templates, "Prompt template with {} for the name; given several times, averaged")
      ->allow_extra_args(false);
  app.add_option("--batch", job.batch, "Images at once")->check(CLI::Range(1, 4096));
  app.add_option("--threads", job.threads, "Threads that decode; 0: one for each processor")
      ->check(CLI::Range(0, 1024));
  app.add_option("--limit", job.limit, "A random sample of so many images of every set; 0: all");
  app.add_option("--baseline", job.baseline, "What --out has written of other models, for effective robustness");
  app.add_option("--out", job.out, "Adds the results as a line to this file");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  example::with_architecture(example::RunArchitectures{}, job.model, job, example::add_an_architecture);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
