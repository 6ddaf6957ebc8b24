#pragma once
/// What segment does: label every pixel of the images in several ways, measure where there are outlines, show.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/task/confusion_matrix.hpp"
#include "radapt/task/overlay.hpp"

#include "domains.hpp"
#include "image_paths.hpp"
#include "picture_file.hpp"
#include "segment_model.hpp"
#include "study_report.hpp"

namespace example {

/// One way of labelling pixels, and what it was taken for.
struct SegmentRow {
  std::string name = {};
  radapt::task::ConfusionMatrix matrix;
};

/// Pictures of one height side by side, two white pixels apart.
inline Picture side_by_side(const std::vector<Picture>& pictures) {
  constexpr std::size_t gap = 2;
  std::size_t width = 0;
  for (const Picture& p : pictures) { width += p.width + gap; }
  Picture strip(width - gap, pictures.at(0).height);
  std::fill(strip.rgb.begin(), strip.rgb.end(), std::uint8_t{255});
  std::size_t left = 0;
  for (const Picture& p : pictures) {
    for (std::size_t y = 0; y < p.height; ++y) {
      std::copy_n(p.rgb.begin() + static_cast<std::ptrdiff_t>(p.offset(0, y)), 3 * p.width,
                  strip.rgb.begin() + static_cast<std::ptrdiff_t>(strip.offset(left, y)));
    }
    left += p.width + gap;
  }
  return strip;
}

/// Pictures below each other, two white pixels apart, at the left.
inline Picture below_each_other(const std::vector<Picture>& pictures) {
  constexpr std::size_t gap = 2;
  std::size_t width = 0, height = 0;
  for (const Picture& p : pictures) {
    width = std::max(width, p.width);
    height += p.height + gap;
  }
  Picture sheet(width, height - gap);
  std::fill(sheet.rgb.begin(), sheet.rgb.end(), std::uint8_t{255});
  std::size_t top = 0;
  for (const Picture& p : pictures) {
    for (std::size_t y = 0; y < p.height; ++y) {
      std::copy_n(p.rgb.begin() + static_cast<std::ptrdiff_t>(p.offset(0, y)), 3 * p.width,
                  sheet.rgb.begin() + static_cast<std::ptrdiff_t>(sheet.offset(0, top + y)));
    }
    top += p.height + gap;
  }
  return sheet;
}

/// An image with the colours of a map over it, its longer side `side` pixels at most.
inline Picture panel(const radapt::Image& image, const radapt::task::LabelMap& map, std::size_t side) {
  const radapt::Image full = radapt::task::overlay(image, map, 160);
  const std::size_t longer = std::max(full.width, full.height);
  if (longer <= side) { return picture_of(full); }
  const auto scaled = [&](std::size_t length) {
    return std::max<std::size_t>((length * side + longer / 2) / longer, 1);
  };
  return picture_of(radapt::resize(full, scaled(full.width), scaled(full.height), radapt::Interpolation::bicubic));
}

/// The names of the labels in a map with their shares of its labelled pixels, the largest first, at most four.
inline std::string labels_in(const radapt::task::LabelMap& map, const std::vector<std::string>& names) {
  std::vector<std::pair<std::size_t, std::size_t>> counts;  // minus the pixels, the label
  std::size_t all = 0;
  std::vector<std::size_t> pixels(names.size());
  for (const std::int32_t label : map.labels) {
    if (label >= 0) {
      ++pixels[static_cast<std::size_t>(label)];
      ++all;
    }
  }
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (pixels[c] > 0) { counts.emplace_back(all - pixels[c], c); }
  }
  std::sort(counts.begin(), counts.end());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, counts.size()); ++i) {
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ", names[counts[i].second],
                        100.0 * static_cast<double>(pixels[counts[i].second]) / static_cast<double>(all));
  }
  return text.empty() ? "nothing" : text;
}

inline ReportTable segment_table(const std::vector<SegmentRow>& rows, std::size_t images) {
  ReportTable table;
  table.caption = fmt::format("Pixels of {} images that have a label, in %", images);
  table.columns = {"method", "mIoU", "pixel accuracy", "mean class accuracy"};
  for (const SegmentRow& row : rows) {
    table.rows.push_back({row.name, fmt::format("{:.1f}", 100 * row.matrix.mean_iou()),
                          fmt::format("{:.1f}", 100 * row.matrix.accuracy()),
                          fmt::format("{:.1f}", 100 * row.matrix.mean_per_class_accuracy())});
  }
  // What knowing nothing but the most frequent label would give.
  const radapt::task::ConfusionMatrix& any = rows.at(0).matrix;
  Index most = 0, labelled = 0;
  for (Index c = 0; c < any.classes(); ++c) {
    most = std::max(most, any.labelled(c));
    labelled += any.labelled(c) > 0 ? 1U : 0U;
  }
  const double share = static_cast<double>(most) / static_cast<double>(any.total());
  const auto classes = static_cast<double>(labelled);
  table.rows.push_back({"the most frequent label everywhere", fmt::format("{:.1f}", 100 * share / classes),
                        fmt::format("{:.1f}", 100 * share), fmt::format("{:.1f}", 100 / classes)});
  return table;
}

/// The images to be segmented and, where there is no checkpoint, others to pre-train on: every second of a random
/// order.
struct SegmentImages {
  std::vector<OutlinedImage> pretraining = {}, test = {};
};
inline SegmentImages segment_images(const SegmentSettings& settings, std::size_t labels) {
  SegmentImages parts;
  parts.test = read_outlines(image_paths(settings.images), settings.truth, labels);
  if (settings.limit > 0 && parts.test.size() > settings.limit) { parts.test.resize(settings.limit); }
  if (!settings.from.empty()) { return parts; }
  std::vector<OutlinedImage> rest;
  Sampler order(parts.test.size(), settings.seed);
  for (std::size_t i = 0; i < parts.test.size(); ++i) {
    (i % 2 == 0 ? parts.pretraining : rest).push_back(parts.test[order.next()]);
  }
  std::sort(rest.begin(), rest.end(), [](const auto& a, const auto& b) { return a.image < b.image; });
  parts.test = std::move(rest);
  return parts;
}

/// What labelling the images gave: a row for every model and way, and pictures with what is said below them.
struct SegmentOutcome {
  std::vector<SegmentRow> rows = {};
  std::size_t measured = 0;  ///< images with an object
  std::size_t skipped = 0;   ///< images that could not be read
  std::vector<std::pair<Picture, std::string>> pictures = {};
};

/// Goes through the images with every model; writes overlays where there is a folder for them. The rows are only
/// filled where outlines of the truth are there to measure with. An image that cannot be read is named, counted and
/// left out. Errors: none can be read; there are outlines, and no image has an object.
inline SegmentOutcome label_images(const SegmentSettings& settings, const std::vector<std::string>& labels,
                                   const std::vector<OutlinedImage>& images, const SegmentModels& models,
                                   bool measures) {
  namespace task = radapt::task;
  SegmentOutcome outcome;
  std::vector<SegmentRow>& rows = outcome.rows;
  for (const auto& model : models.labellers) {
    rows.push_back({model->name() + ": patches", task::ConfusionMatrix(labels.size())});
    rows.push_back({model->name() + ": regions of the patches", task::ConfusionMatrix(labels.size())});
    if (measures) { rows.push_back({model->name() + ": regions of the truth", task::ConfusionMatrix(labels.size())}); }
  }
  if (!settings.overlays.empty()) { std::filesystem::create_directories(settings.overlays); }
  radapt::Progress progress("segmenting", images.size());
  for (const OutlinedImage& outlined : images) {
    const std::optional<radapt::Image> opened = open_or_name(outlined.image);
    if (!opened.has_value()) {
      ++outcome.skipped;
      progress.advance();
      continue;
    }
    const radapt::Image& image = *opened;
    const task::LabelMap truth = task::label_map(outlined.objects, image.width, image.height, -1);
    const std::vector<task::RegionMask> outlines = visible_objects(outlined.objects, image.width, image.height);
    const bool shows = outcome.pictures.size() < settings.shown;
    std::vector<std::vector<Picture>> panels(1);  // strips: the image, the truth, what models say
    std::string said = outlined.image.filename().string();
    const auto show = [&](const std::string& name, const task::LabelMap& map) {
      if (!shows) { return; }
      panels.back().push_back(panel(image, map, settings.panel));
      said += "; " + name + ": " + labels_in(map, labels);
    };
    if (shows) { panels[0].push_back(panel(image, task::LabelMap(image.width, image.height, -1), settings.panel)); }
    if (measures) { show("truth", truth); }
    std::size_t row = 0;
    for (const auto& model : models.labellers) {
      if (settings.stacked) { panels.emplace_back(); }
      const auto take = [&](const task::LabelMap& map) {
        if (measures) { rows[row].matrix.add(map.labels, truth.labels, -1); }
        show(rows[row].name, map);
        ++row;
      };
      const task::LabelMap dense = model->dense(image);
      take(dense);
      const auto least = static_cast<std::size_t>(settings.least_region * static_cast<double>(dense.labels.size()));
      take(model->regions(image, connected_regions(dense, std::max<std::size_t>(least, 1)), dense));
      if (measures) { take(model->regions(image, outlines, task::LabelMap(image.width, image.height, -1))); }
    }
    outcome.measured += outlines.empty() ? 0U : 1U;
    if (shows) {
      std::vector<Picture> strips;
      for (const std::vector<Picture>& strip : panels) { strips.push_back(side_by_side(strip)); }
      outcome.pictures.emplace_back(below_each_other(strips), said);
      if (!settings.overlays.empty()) {
        save_png(settings.overlays / outlined.image.stem().concat(".png"), outcome.pictures.back().first);
      }
    }
    progress.advance();
  }
  progress.finish();
  if (outcome.skipped == images.size()) {
    radapt::fail({.what = "segmenting",
                  .expected = "at least one image that can be read",
                  .got = "none of " + std::to_string(images.size()),
                  .hint = "What is wrong with each is said above"});
  }
  if (measures && outcome.measured == 0) {
    radapt::fail({.what = "measuring the segmentation",
                  .expected = "at least one image with an object",
                  .got = "none of " + std::to_string(images.size()),
                  .hint = "Give more images"});
  }
  return outcome;
}

/// What the rows of segment_table mean.
inline constexpr const char* segment_note =
    "Pixels that no object of the truth covers are not counted. Regions of the patches are the connected parts of the "
    "map that the patches give; regions of the truth are its objects, so that only their names have to be found.";

/// The whole program once there are models. Prints, and writes overlays and the report.
inline void segment(const SegmentSettings& settings, const std::vector<std::string>& labels,
                    const std::vector<OutlinedImage>& images, const SegmentModels& models,
                    std::chrono::steady_clock::time_point start) {
  const bool measures = !settings.truth.empty();
  const SegmentOutcome outcome = label_images(settings, labels, images, models, measures);
  Report report("radapt segment: labels for every pixel", encode_png);
  report.paragraph(models.origin);
  report.code(settings.command);
  if (measures) {
    const ReportTable table = segment_table(outcome.rows, outcome.measured);
    print(table);
    report.heading("Results");
    report.table(table);
    report.paragraph(segment_note);
  }
  if (outcome.skipped > 0) { report.paragraph(fmt::format("{} images could not be read.", outcome.skipped)); }
  report.heading("Pictures");
  for (const auto& [picture, said] : outcome.pictures) { report.picture(picture, said); }
  report.write(settings.report);
  if (!measures) {
    for (const auto& [picture, said] : outcome.pictures) { fmt::print("{}\n", said); }
  }
  fmt::print("\nreport: {}   images: {}   not readable: {}   total time: {:.0f} s\n", settings.report.string(),
             images.size() - outcome.skipped, outcome.skipped, seconds_since(start));
}

}  // namespace example
