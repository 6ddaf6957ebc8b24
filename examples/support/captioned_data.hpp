#pragma once
/// Images with several captions each, for training and measuring retrieval: read, split, decoded once, drawn in
/// batches.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/clip/preprocess.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/karpathy.hpp"
#include "radapt/train/batch.hpp"
#include "radapt/train/progress.hpp"

#include "domain_captions.hpp"
#include "study_data.hpp"

namespace example {

/// Which file lists the captions, and how it is split.
struct CaptionFile {
  std::filesystem::path file = {};    ///< Karpathy's .json, or a table .csv (.tsv: separated by tabs)
  std::filesystem::path images = {};  ///< the folder that names are below
  radapt::CaptionColumns columns = {};
  std::uint64_t split_seed = 0;
  double pretraining_share = 0;  ///< of the training images: for pre-training only
  std::size_t limit = 0;         ///< images of each part; 0 is all
};

/// The parts of a data set. No file is in two of them.
struct CaptionParts {
  std::vector<radapt::CaptionedImage> pretraining = {}, train = {}, validation = {}, test = {};
  std::size_t overlapping =
      0;  ///< listed in a part although they are in the test set, or trained on though they validate
};

/// Takes files out of `part` that are in `other` too, or in `part` before. Returns how many.
inline std::size_t leave_out(std::vector<radapt::CaptionedImage>& part,
                             const std::vector<radapt::CaptionedImage>& other) {
  std::set<std::filesystem::path> there;
  for (const radapt::CaptionedImage& image : other) { there.insert(image.path.lexically_normal()); }
  return std::erase_if(part, [&](const auto& image) { return !there.insert(image.path.lexically_normal()).second; });
}

/// Reads and splits. The parts are those of a Karpathy file, train with restval; a table has none, and 60, 20 and 20 %
/// of its images train, validate and test. Where a file has no validation images, a tenth of the training images
/// becomes that. A file that is listed twice counts once, for testing first, then for choosing. What is random follows
/// from `split_seed`. Errors: not such a file, a part without images.
inline CaptionParts read_captions(const CaptionFile& from) {
  CaptionParts parts;
  const auto in_random_order = [&](std::vector<radapt::CaptionedImage> images) {
    std::vector<radapt::CaptionedImage> mixed;
    Sampler order(images.size(), from.split_seed);
    for (std::size_t i = 0; i < images.size(); ++i) { mixed.push_back(std::move(images[order.next()])); }
    return mixed;
  };
  const auto take = [](std::vector<radapt::CaptionedImage>& images, std::size_t count) {
    const auto cut = images.end() - static_cast<std::ptrdiff_t>(std::min(count, images.size()));
    std::vector<radapt::CaptionedImage> taken(std::make_move_iterator(cut), std::make_move_iterator(images.end()));
    images.erase(cut, images.end());
    return taken;
  };
  const auto share = [](double part, std::size_t of) {
    return static_cast<std::size_t>(part * static_cast<double>(of));
  };
  const std::string ending = from.file.extension().string();
  if (ending == ".json") {
    const radapt::KarpathyFile file(from.file, from.images);
    parts.train = file.split(radapt::KarpathySplit::train);
    const auto& rest = file.split(radapt::KarpathySplit::restval);
    parts.train.insert(parts.train.end(), rest.begin(), rest.end());
    parts.train = in_random_order(parts.train);
    parts.validation = file.split(radapt::KarpathySplit::val);
    parts.test = file.split(radapt::KarpathySplit::test);
    // There are copies whose parts overlap. A model that has seen a test image finds it, and the figures are worth
    // nothing.
    parts.overlapping = leave_out(parts.test, {}) + leave_out(parts.validation, parts.test);
    std::vector<radapt::CaptionedImage> held_out = parts.test;
    held_out.insert(held_out.end(), parts.validation.begin(), parts.validation.end());
    parts.overlapping += leave_out(parts.train, held_out);
  } else {
    radapt::CsvOptions options;
    options.separator = ending == ".tsv" ? '\t' : ',';
    parts.train =
        in_random_order(radapt::captioned_images(radapt::read_csv(from.file, options), from.images, from.columns));
    const std::size_t fifth = share(0.2, parts.train.size());
    parts.test = take(parts.train, fifth);
    parts.validation = take(parts.train, fifth);
  }
  if (from.limit > 0) { take(parts.train, parts.train.size() - std::min(from.limit, parts.train.size())); }
  if (parts.validation.empty()) {
    parts.validation = take(parts.train, std::max<std::size_t>(1, share(0.1, parts.train.size())));
  }
  parts.pretraining = take(parts.train, share(from.pretraining_share, parts.train.size()));
  for (auto* part : {&parts.validation, &parts.test}) {
    if (from.limit > 0 && part->size() > from.limit) { part->resize(from.limit); }
  }
  const auto require = [&](const std::vector<radapt::CaptionedImage>& part, const char* name) {
    if (part.empty()) {
      radapt::fail({.what = "splitting '" + from.file.string() + "'",
                    .expected = std::string("at least one image ") + name,
                    .got = "none",
                    .hint = "The parts are those that the file states; of a table they are shares"});
    }
  };
  require(parts.train, "to train on");
  require(parts.validation, "to choose on");
  require(parts.test, "to test on");
  if (from.pretraining_share > 0) { require(parts.pretraining, "to pre-train on"); }
  return parts;
}

/// Decoded images with the token ids of their captions.
struct CaptionedSet {
  std::vector<radapt::Image> images = {};
  std::vector<std::vector<std::string>> captions = {};  ///< by image
  std::vector<Texts> ids = {};                          ///< by image, one for each caption
  std::size_t skipped = 0;                              ///< files that could not be read

  std::size_t size() const { return images.size(); }
  /// All captions in a row, as task::retrieval takes them.
  radapt::CaptionList list() const {
    radapt::CaptionList list;
    for (std::size_t i = 0; i < captions.size(); ++i) {
      for (const std::string& caption : captions[i]) {
        list.captions.push_back(caption);
        list.image_of_text.push_back(static_cast<std::int32_t>(i));
      }
    }
    return list;
  }
};

/// Decodes images to rules.size x rules.size pixels and takes the first `most` captions of each (0: all). An image that
/// cannot be read, or one of whose captions cannot, is named on the error stream, counted and left out. Error: none is
/// left.
inline CaptionedSet decode_captioned(const std::string& name, const std::vector<radapt::CaptionedImage>& part,
                                     std::size_t most, const radapt::Preprocess& rules, const Encode& encode,
                                     radapt::Progress& progress) {
  CaptionedSet set;
  for (const radapt::CaptionedImage& image : part) {
    try {
      radapt::Image pixels = rules.pixels(radapt::open_image(image.path));
      const std::size_t all = image.captions.size(), taken = most == 0 ? all : std::min(most, all);
      std::vector<std::string> captions(image.captions.begin(),
                                        image.captions.begin() + static_cast<std::ptrdiff_t>(taken));
      Texts ids;
      for (const std::string& caption : captions) { ids.push_back(encode(caption)); }
      set.images.push_back(std::move(pixels));  // all three or none
      set.captions.push_back(std::move(captions));
      set.ids.push_back(std::move(ids));
    } catch (const radapt::error& e) {
      ++set.skipped;
      std::fprintf(stderr, "skipped: %s\n", e.what());
    }
    progress.advance(1, name);
  }
  if (set.images.empty()) {
    radapt::fail({.what = "reading the images " + name,
                  .expected = "at least one that can be read",
                  .got = "none of " + std::to_string(part.size()),
                  .hint = "Is the folder of the images the right one?"});
  }
  return set;
}

/// How batches of pairs are drawn.
struct PairDrawing {
  std::size_t batch = 64;
  std::size_t positives = 1;  ///< captions of one image in a batch, each beside another crop of the image
  double crop = 0.9;          ///< least share of the image's area that a crop shows
  std::uint64_t seed = 0;
};

/// Pairs of a set in batches: every image once an epoch, with as many of its captions as `positives` says.
class CaptionBatches {
 public:
  /// `set` must outlive this.
  CaptionBatches(const CaptionedSet& set, const radapt::Preprocess& rules, PairDrawing drawing,
                 radapt::Captions captions)
      : set_(set),
        rules_(rules),
        drawing_(drawing),
        sampler_(set.size(), drawing.seed + 1),
        pixels_(drawing.batch * rules.elements()),
        captions_(std::move(captions)) {}

  /// The next batch. It is valid until the batch after it.
  radapt::PairBatch<float> next() {
    captions_.clear();
    groups_.clear();
    while (groups_.size() < drawing_.batch) {
      const std::size_t image = sampler_.next();
      const Texts& texts = set_.ids[image];
      radapt::Random random(drawing_.seed, ++drawn_);
      const std::size_t first = random.below(static_cast<std::uint32_t>(texts.size()));
      for (std::size_t k = 0; k < drawing_.positives && groups_.size() < drawing_.batch; ++k) {
        rules_(
            set_.images[image], {.scale = {drawing_.crop, 1.0}, .ratio = {3.0 / 4.0, 4.0 / 3.0}},
            [&] { return random.uniform(); },
            std::span<float>(pixels_).subspan(groups_.size() * rules_.elements(), rules_.elements()));
        captions_.add(texts[(first + k) % texts.size()]);
        groups_.push_back(static_cast<std::int32_t>(image));
      }
    }
    return {.pixels = pixels_, .captions = &captions_, .groups = groups_};
  }

 private:
  const CaptionedSet& set_;
  radapt::Preprocess rules_;
  PairDrawing drawing_;
  Sampler sampler_;
  std::vector<float> pixels_;
  radapt::Captions captions_;
  std::vector<std::int32_t> groups_;
  std::uint64_t drawn_ = 0;
};

}  // namespace example
