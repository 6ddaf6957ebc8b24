/// Open-vocabulary segmentation: a label from your list for every pixel, by patches and by classifying regions. Proves:
/// dense features, windows, regions and merged adapters work together on any checkpoint; outlines, where there are any,
/// measure it.
///
///     segment --images street.jpg --labels "car,road,tree,sky" --from clip-vit-base-patch16 --overlays out
///     segment --images coco/images --truth coco/labels --labels coco_names.json --from clip-vit-base-patch16
#include "compiled_architectures.hpp"
#include "support/command_line.hpp"
#include "support/outputs.hpp"
#include "support/segment_job.hpp"

int main(int argc, char** argv) try {
  example::SegmentSettings s;
  CLI::App app{
      "Labels every pixel of images with the names that you give, and measures it where there are outlines.\n"
      "Without --from a small CLIP is pre-trained first, on the objects of one half of the images; it is far too small "
      "to "
      "segment well.",
      "segment"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  app.add_option("--images", s.images, "Image files, and folders of them in the order of their paths")->required();
  app.add_option("--labels", s.labels,
                 "Names separated by commas, or a file with one per line (.json: a list);\n"
                 "with --truth in the order of its class numbers")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--truth", s.truth, "Folder with NAME.txt for the images: class x y x y ... (YOLO), to measure");
  app.add_option("--template", s.templates, "Prompt template with {} for the name; given several times, averaged")
      ->allow_extra_args(false);
  app.add_option("--from", s.from, "Checkpoint folder (transformers or open_clip)");
  app.add_option("--vocabulary", s.vocabulary, "CLIP's tokenizer: a folder or BPE file, if not beside the weights");
  app.add_option("--adapter", s.adapter, "Adapter file for the checkpoint; measured beside the checkpoint alone");
  app.add_option("--alpha", s.alpha, "How much of the adapters")->check(CLI::Range(0.0, 1.0));
  app.add_option("--short-side", s.windows.short_side, "Pixels that images are resized to; 0: twice the model's size");
  app.add_option("--stride", s.windows.stride, "Pixels between windows; 0: half a window");
  app.add_option("--least-region", s.least_region, "Share of an image that a connected region covers at least")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--limit", s.limit, "Use at most this many images; 0: all");
  app.add_option("--pretrain-steps", s.pretrain_steps, "Steps of contrastive pre-training")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--pretrain-lr", s.pretrain_lr, "Its largest learning rate")->check(example::above_zero());
  app.add_option("--seed", s.seed, "Seed of the pre-training and of its split");
  app.add_option("--save", s.save, "Folder for the pre-trained model");
  app.add_option("--overlays", s.overlays, "Folder for pictures: image, truth, and what each method says");
  app.add_option("--shown", s.shown, "Images of which pictures are made");
  app.add_option("--panel", s.panel, "Pixels of the longer side of each part of a picture")->check(CLI::Range(8, 4096));
  app.add_option("--report", s.report, "Where the report goes");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.command = example::command_of("segment", argc, argv);
  std::vector<std::filesystem::path> inputs(s.images.begin(), s.images.end());
  inputs.insert(inputs.end(), s.labels.begin(), s.labels.end());
  example::check_output_files({s.report}, inputs);
  example::check_output_folder(s.overlays);
  example::check_output_folder(s.save);
  if (s.from.empty() && (s.truth.empty() || s.vocabulary.empty() || !s.adapter.empty())) {
    radapt::fail({.what = "segment without --from",
                  .expected = "--truth and --vocabulary, to pre-train with, and no --adapter",
                  .got = std::string(s.truth.empty()        ? "no --truth"
                                     : s.vocabulary.empty() ? "no --vocabulary"
                                                            : "an --adapter"),
                  .hint = "Or give a checkpoint"});
  }

  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> labels = example::read_labels(s.labels);
  const example::SegmentImages images = example::segment_images(s, labels.size());
  example::SegmentModels models;
  if (s.from.empty()) {
    models = example::pretrained_models<example::SmallClip>(s, labels, images.pretraining);
  } else {
    example::with_architecture(
        example::RunArchitectures{}, s.from, [&]<class Arch>() { models = example::loaded_models<Arch>(s, labels); },
        example::add_an_architecture);
  }
  example::segment(s, labels, images.test, models, start);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
