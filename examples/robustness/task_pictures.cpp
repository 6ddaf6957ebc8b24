/// Retrieval samples and segmentation overlays of a study's models. A source of its own: compiled beside the methods it
/// would add to the largest source that there is.
#include "support/task_pictures.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "compiled_architectures.hpp"
#include "radapt/io/adapter_file.hpp"
#include "support/retrieval_report.hpp"
#include "support/segment_job.hpp"

namespace example {

namespace {

CaptionParts captions_of(const TaskPictureData& data) {
  const std::filesystem::path images =
      data.retrieval_images.empty() ? data.retrieval.parent_path() / "images" : data.retrieval_images;
  return read_captions({.file = data.retrieval, .images = images, .pretraining_share = 0, .limit = data.limit});
}
std::vector<OutlinedImage> outlines_of(const TaskPictureData& data) {
  std::vector<OutlinedImage> images = read_yolo_folder(data.segmentation, read_labels(data.segmentation_labels).size());
  if (data.limit > 0 && images.size() > data.limit) { images.resize(data.limit); }
  return images;
}

/// The model as it is and, where there are adapters, with them merged.
template <class Arch>
std::vector<std::pair<std::string, radapt::Weights<radapt::Clip<Arch>>>> weights_of(const TaskPictureModels& models) {
  std::vector<std::pair<std::string, radapt::Weights<radapt::Clip<Arch>>>> all;
  all.emplace_back("zero-shot", radapt::load<radapt::Clip<Arch>>(models.checkpoint));
  if (!models.adapters.empty()) {
    auto adapted = radapt::with_adapters<radapt::RAdapter<>>(all[0].second);
    radapt::load_adapters(models.adapters, adapted, {.expand_low_rank = true, .any_base = false});
    for (const double alpha : models.alphas) {
      all.emplace_back(fmt::format("R-Adapter, alpha {:g}", alpha), radapt::merge(alpha, adapted));
    }
  }
  return all;
}

template <class Arch>
void retrieval_pictures(Report& report, const TaskPictureData& data, const TaskPictureModels& models,
                        const radapt::Preprocess& rules) {
  const CaptionParts parts = captions_of(data);
  const auto tokenizer = tokenizer_of<Arch>(models.checkpoint, models.vocabulary);
  radapt::Progress progress("reading images", parts.test.size());
  const CaptionedSet test = decode_captioned(
      "of retrieval", parts.test, 5, rules,
      [&](const std::string& text) { return tokenizer.context(text, Arch::context); }, progress);
  progress.finish();
  std::vector<RetrievalMethod> methods;
  for (const auto& [name, weights] : weights_of<Arch>(models)) {
    RetrievalMethod method{.name = name};
    method.test = measure_retrieval(name, weights, test, rules, &method.samples);
    methods.push_back(std::move(method));
  }
  ReportTable table = recall_table(methods);
  // Nothing was trained for this task: the column of trained parameters says nothing here.
  table.columns.erase(table.columns.begin() + 1);
  for (auto& row : table.rows) { row.erase(row.begin() + 1); }
  table.caption = fmt::format("Retrieval: recall in % and median rank among {} images and {} captions", test.size(),
                              test.list().captions.size());
  print(table);
  report.heading("Retrieval: the same models on " + data.retrieval.filename().string());
  report.paragraph(
      fmt::format("None of them was trained on captions of this data. An answer at random has a R@1 of {:.2f} % in "
                  "either direction.",
                  100.0 / static_cast<double>(test.size())));
  if (test.skipped > 0) { report.paragraph(fmt::format("{} images could not be read.", test.skipped)); }
  report.table(table);
  write_retrieval_samples(report, methods, test);
}

template <class Arch>
void segmentation_pictures(Report& report, const TaskPictureData& data, const TaskPictureModels& models,
                           const radapt::Preprocess& rules) {
  const std::vector<std::string> labels = read_labels(data.segmentation_labels);
  const std::vector<OutlinedImage> images = outlines_of(data);
  SegmentSettings settings;
  settings.from = models.checkpoint;
  settings.vocabulary = models.vocabulary;
  settings.windows.short_side = 2 * Arch::image;
  settings.panel = 200;
  settings.stacked = true;
  const std::vector<Texts> prompts = segment_prompts<Arch>(settings, labels);
  SegmentModels labellers;
  for (auto& [name, weights] : weights_of<Arch>(models)) {
    labellers.labellers.push_back(
        std::make_unique<ClipLabeller<Arch>>(name, std::move(weights), prompts, rules, settings.windows));
  }
  const SegmentOutcome outcome = label_images(settings, labels, images, labellers, /*measures=*/true);
  ReportTable table = segment_table(outcome.rows, outcome.measured);
  table.caption = "Segmentation: " + table.caption;
  print(table);
  report.heading("Segmentation: the same models on " + data.segmentation.filename().string());
  report.table(table);
  report.paragraph(segment_note);
  if (outcome.skipped > 0) { report.paragraph(fmt::format("{} images could not be read.", outcome.skipped)); }
  for (const auto& [picture, said] : outcome.pictures) { report.picture(picture, said); }
}

template <class Arch>
void pictures(Report& report, const TaskPictureData& data, const TaskPictureModels& models) {
  const radapt::Preprocess rules = preprocessing_of(models.checkpoint, Arch::image);
  if (!data.retrieval.empty()) { retrieval_pictures<Arch>(report, data, models, rules); }
  if (!data.segmentation.empty()) { segmentation_pictures<Arch>(report, data, models, rules); }
}

}  // namespace

void check_task_pictures(const TaskPictureData& data) {
  const auto require = [](bool there, const std::string& option, const std::filesystem::path& path) {
    if (there) { return; }
    radapt::fail({.what = "option " + option,
                  .expected = "a file or folder that is there",
                  .got = "'" + path.string() + "'",
                  .hint = ""});
  };
  if (!data.retrieval.empty()) {
    require(std::filesystem::is_regular_file(data.retrieval), "--retrieval", data.retrieval);
  }
  if (!data.retrieval_images.empty()) {
    require(std::filesystem::is_directory(data.retrieval_images), "--retrieval-images", data.retrieval_images);
  }
  if (!data.retrieval.empty()) { captions_of(data); }
  if (data.segmentation.empty()) { return; }
  require(std::filesystem::is_directory(data.segmentation / "images"), "--segmentation", data.segmentation / "images");
  require(std::filesystem::is_directory(data.segmentation / "labels"), "--segmentation", data.segmentation / "labels");
  if (data.segmentation_labels.empty()) {
    radapt::fail({.what = "option --segmentation",
                  .expected = "--segmentation-labels, the names of its classes",
                  .got = "none",
                  .hint = "Give names separated by commas, a .json list, or a text file with one per line"});
  }
  outlines_of(data);
}

void write_task_pictures(Report& report, const TaskPictureData& data, const TaskPictureModels& models) {
  if (models.is_small_clip) {
    pictures<SmallClip>(report, data, models);
  } else {
    with_architecture(
        TrainedArchitectures{}, models.checkpoint, [&]<class Arch>() { pictures<Arch>(report, data, models); },
        add_a_trained_architecture);
  }
}

}  // namespace example
