#pragma once
/// The models of the segmentation program: any checkpoint, alone and with adapters merged into it, or a small CLIP from
/// nothing.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/io/adapter_file.hpp"
#include "radapt/io/tokenizer_files.hpp"
#include "radapt/task/segmenter.hpp"

#include "checkpoint_model.hpp"
#include "domain_captions.hpp"
#include "pretrain.hpp"
#include "segment_data.hpp"

namespace example {

/// The options of segment.
struct SegmentSettings {
  std::vector<std::string> images = {}, labels = {}, templates = {"a photo of a {}."};
  std::filesystem::path truth = {}, from = {}, adapter = {}, save = {}, overlays = {}, report = "report.html";
  std::string vocabulary = {}, command = {};
  double alpha = 0.4;  ///< the paper's for segmentation (methods.md 1.10)
  std::size_t limit = 0, shown = 4, panel = 240;
  bool stacked = false;  ///< pictures show each model in a strip of its own
  radapt::task::SegmenterOptions windows = {};
  double least_region = 0.01;  ///< share of the image's pixels that a proposal has at least
  std::uint64_t pretrain_steps = 600, seed = 0;
  double pretrain_lr = 1e-3;
};

/// Something that labels pixels: by their patches, and by classifying regions that are cut out. What goes through
/// images sees this, so that it is compiled once and not for every architecture.
class PixelLabeller {
 public:
  virtual ~PixelLabeller() = default;
  virtual const std::string& name() const = 0;
  /// A label for every pixel, from dense features.
  virtual radapt::task::LabelMap dense(const radapt::Image& image) = 0;
  /// The regions classified one by one and put back over `below`.
  virtual radapt::task::LabelMap regions(const radapt::Image& image, const std::vector<radapt::task::RegionMask>& masks,
                                         radapt::task::LabelMap below) = 0;
};

/// A CLIP that does.
template <class Arch>
class ClipLabeller final : public PixelLabeller {
 public:
  using Clip = radapt::Clip<Arch>;
  using Backend = radapt::onednn;

  ClipLabeller(std::string name, radapt::Weights<Clip> weights, const std::vector<Texts>& prompts,
               const radapt::Preprocess& rules, const radapt::task::SegmenterOptions& windows)
      : name_(std::move(name)),
        weights_(std::move(weights)),
        session_(weights_),
        squash_(rules),
        head_(head_of(session_, prompts)),
        segmenter_(weights_, head_, rules, windows) {
    squash_.resize_mode = radapt::ResizeMode::squash;
  }
  ClipLabeller(const ClipLabeller&) = delete;
  ClipLabeller& operator=(const ClipLabeller&) = delete;

  const std::string& name() const override { return name_; }
  radapt::task::LabelMap dense(const radapt::Image& image) override { return segmenter_(image); }

  radapt::task::LabelMap regions(const radapt::Image& image, const std::vector<radapt::task::RegionMask>& masks,
                                 radapt::task::LabelMap below) override {
    if (masks.empty()) { return below; }
    const std::size_t classes = head_.size() / Arch::embed;
    std::vector<float> features(masks.size() * Arch::embed), scores(masks.size() * classes);
    session_.encode_images(radapt::task::region_pixels(image, masks, squash_), features);
    session_.normalize(features);
    for (std::size_t r = 0; r < masks.size(); ++r) {
      const std::span<float> row = std::span(scores).subspan(r * classes, classes);
      for (std::size_t c = 0; c < classes; ++c) {
        float cosine = 0;
        for (std::size_t e = 0; e < Arch::embed; ++e) {
          cosine += features[r * Arch::embed + e] * head_[c * Arch::embed + e];
        }
        row[c] = session_.scale() * cosine;
      }
      const float most = *std::max_element(row.begin(), row.end());
      float sum = 0;
      for (float& s : row) { sum += s = std::exp(s - most); }
      for (float& s : row) { s /= sum; }
    }
    const radapt::task::LabelMap found = radapt::task::assemble_regions(masks, scores, classes, -1);
    for (std::size_t i = 0; i < found.labels.size(); ++i) {
      if (found.labels[i] >= 0) { below.labels[i] = found.labels[i]; }
    }
    return below;
  }

 private:
  static std::vector<float> head_of(radapt::Session<Clip, Backend>& session, const std::vector<Texts>& prompts) {
    auto captions = radapt::Captions::of<Clip>();
    std::vector<Index> per_class;
    for (const Texts& texts : prompts) {
      for (const auto& ids : texts) { captions.add(ids); }
      per_class.push_back(texts.size());
    }
    return radapt::zero_shot_weights(session, captions, per_class);
  }

  std::string name_;
  radapt::Weights<Clip> weights_;
  radapt::Session<Clip, Backend> session_;
  radapt::Preprocess squash_;
  std::vector<float> head_;
  radapt::task::Segmenter<Clip, Backend> segmenter_;
};

/// What goes through images.
struct SegmentModels {
  std::vector<std::unique_ptr<PixelLabeller>> labellers = {};
  std::string origin = {};  ///< a sentence on where the weights are from
};

/// The texts of every label, one for each template.
template <class Arch>
std::vector<Texts> segment_prompts(const SegmentSettings& settings, const std::vector<std::string>& labels) {
  const auto tokenizer = tokenizer_of<Arch>(settings.from, settings.vocabulary);
  std::vector<Texts> prompts;
  for (const std::string& label : labels) {
    prompts.emplace_back();
    for (const std::string& text : settings.templates) {
      prompts.back().push_back(tokenizer.context(with_articles(radapt::fill_template(text, label)), Arch::context));
    }
  }
  return prompts;
}

/// The model as it is and, with --adapter, with adapters merged at alpha.
template <class Arch>
SegmentModels segment_models(const SegmentSettings& settings, const std::vector<std::string>& labels,
                             radapt::Weights<radapt::Clip<Arch>> base, const radapt::Preprocess& rules) {
  using Clip = radapt::Clip<Arch>;
  const std::vector<Texts> prompts = segment_prompts<Arch>(settings, labels);
  radapt::task::SegmenterOptions windows = settings.windows;
  if (windows.short_side == 0) { windows.short_side = 2 * Arch::image; }
  SegmentModels models;
  models.origin = fmt::format("A CLIP with {} parameters and {} x {} pixel images", radapt::count<Clip>(), Arch::image,
                              Arch::image);
  const auto add = [&](const std::string& name, radapt::Weights<Clip> weights) {
    models.labellers.push_back(std::make_unique<ClipLabeller<Arch>>(name, std::move(weights), prompts, rules, windows));
  };
  if (settings.adapter.empty()) {
    add("zero-shot", std::move(base));
  } else {
    auto adapted = radapt::with_adapters<radapt::RAdapter<>>(base);
    radapt::load_adapters(settings.adapter, adapted, {.expand_low_rank = true, .any_base = false});
    add("zero-shot", std::move(base));
    add(fmt::format("R-Adapter, alpha {:g}", settings.alpha), radapt::merge(settings.alpha, adapted));
  }
  return models;
}

/// The models of a checkpoint.
template <class Arch>
SegmentModels loaded_models(const SegmentSettings& settings, const std::vector<std::string>& labels) {
  SegmentModels models = segment_models<Arch>(settings, labels, radapt::load<radapt::Clip<Arch>>(settings.from),
                                              preprocessing_of(settings.from, Arch::image));
  models.origin += fmt::format(" was loaded from {}.", settings.from.string());
  return models;
}

/// A small CLIP that is pre-trained on the objects of `images`.
template <class Arch>
SegmentModels pretrained_models(const SegmentSettings& settings, const std::vector<std::string>& labels,
                                const std::vector<OutlinedImage>& images) {
  using Clip = radapt::Clip<Arch>;
  const radapt::Preprocess rules = radapt::Preprocess::openai(Arch::image);
  radapt::Progress progress("cutting out objects", images.size());
  ObjectPairs pairs(images, segment_prompts<Arch>(settings, labels), rules, 64, settings.seed,
                    radapt::Captions::of<Clip>(), progress);
  progress.finish();
  std::vector<double> losses;
  auto base = pretrain<Arch>([&pairs] { return pairs.next(); }, pairs.batch(), settings.pretrain_steps,
                             settings.pretrain_lr, settings.seed, losses);
  if (!settings.save.empty()) {
    radapt::save(settings.save / "base", base, radapt::names::Origin::huggingface);
    radapt::copy_tokenizer_files(settings.vocabulary, settings.save / "base");
  }
  SegmentModels models = segment_models<Arch>(settings, labels, std::move(base), rules);
  models.origin +=
      fmt::format(" was pre-trained for {} steps of {} pairs on {} objects of {} classes, cut out of {} other images.",
                  settings.pretrain_steps, pairs.batch(), pairs.objects(), pairs.classes(), images.size());
  return models;
}

}  // namespace example
