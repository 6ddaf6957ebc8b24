/// Image-text retrieval: a CLIP is fine-tuned on captioned images and measured in both directions. Proves: what FLYP
/// and R-Adapter gain on captions of yours; several captions of one image are positives of each other.
///
///     retrieval --data dataset_flickr8k.json --images flickr8k/images --vocabulary clip_bpe
///     retrieval --data captions.csv --images images --from clip-vit-base-patch32 --flyp-lr 1e-5 --adapter-lr 5e-4
#include "compiled_architectures.hpp"
#include "support/command_line.hpp"
#include "support/outputs.hpp"
#include "support/retrieval_job.hpp"

int main(int argc, char** argv) try {
  example::RetrievalSettings s;
  std::optional<double> pretraining_share;
  CLI::App app{
      "Fine-tunes a CLIP on captioned images and measures retrieval in both directions.\n"
      "Without --from a small CLIP is pre-trained first, on one half of the training images.",
      "retrieval"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  app.add_option("--data", s.captions.file,
                 "Karpathy's dataset_*.json with its splits, or a table (.csv, .tsv) with one row for each caption")
      ->required();
  app.add_option("--images", s.captions.images, "Folder of the images")->required();
  app.add_option("--image-column", s.captions.columns.image, "Column of a table with the names of the images");
  app.add_option("--caption-column", s.captions.columns.caption, "Column of a table with the captions");
  app.add_option("--captions", s.captions_per_image, "Use at most this many captions of each image; 0: all");
  app.add_option("--from", s.from, "Checkpoint folder (transformers or open_clip) to fine-tune");
  app.add_option("--vocabulary", s.vocabulary, "CLIP's tokenizer: a folder or BPE file, if not beside the weights");
  app.add_option("--seed", s.study.drawing.seed, "Seed of training");
  app.add_option("--split-seed", s.captions.split_seed, "Seed of the split into parts, where the file states none");
  app.add_option("--pretrain-share", pretraining_share,
                 "Share of the training images that is, or was, for pre-training only (0.5; 0 with --from)")
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--limit", s.captions.limit,
                 "Use at most this many images of each split; 0: all.\nAll are held in memory, decoded");
  app.add_option("--pretrain-steps", s.pretrain_steps, "Steps of contrastive pre-training")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--pretrain-lr", s.pretrain_lr, "Its largest learning rate")->check(example::above_zero());
  app.add_option("--pretrain-crop", s.pretrain_crop, "Least share of a picture that its crops show")
      ->check(CLI::Range(0.01, 1.0));
  app.add_option("--steps", s.study.steps, "Steps of each fine-tuning")->check(CLI::Range(1, 1000000));
  app.add_option("--batch", s.study.drawing.batch, "Pairs in a step")->check(CLI::Range(2, 65536));
  app.add_option("--micro-batch", s.study.micro_batch, "Pairs whose activations are in memory at once; 0: the batch");
  app.add_option("--positives", s.study.positives, "Captions of one image in a batch of R-Adapter")
      ->check(CLI::Range(1, 100));
  example::add_rates(app, "--flyp-lr", s.study.flyp_lrs, "Rates to choose from for FLYP");
  example::add_rates(app, "--adapter-lr", s.study.adapter_lrs, "Rates to choose from for R-Adapter");
  app.add_option("--momentum", s.study.momentum, "Of R-Adapter's moving average")->check(CLI::Range(0.0, 0.999999));
  app.add_option("--crop", s.study.drawing.crop, "Least share of a picture that a training crop shows")
      ->check(CLI::Range(0.01, 1.0));
  app.add_flag("!--no-flyp", s.flyp, "Leave FLYP out");
  example::add_checkpoint_options(app, s.checkpoints, s.checkpoint_every);
  app.add_option("--save", s.save, "Folder for the adapters (and the pre-trained model), as merge reads them");
  app.add_option("--report", s.report, "Where the report goes");
  app.add_option("--log", s.log, "JSON lines, one for each step; a run appends");
  app.add_option("--figure", s.figure, "Where the chart of recalls goes as a file of its own (SVG)");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.command = example::command_of("retrieval", argc, argv);
  s.captions.pretraining_share = pretraining_share.value_or(s.from.empty() ? 0.5 : 0.0);
  example::check_output_files({s.report, s.log, s.figure}, {s.captions.file, s.vocabulary});
  example::check_output_folder(s.save);
  if (!s.save.empty() && s.from.empty()) { example::check_checkpoint_folder(s.save / "base"); }
  if (s.from.empty() && s.vocabulary.empty()) {
    radapt::fail({.what = "retrieval without --from",
                  .expected = "--vocabulary, CLIP's tokenizer for the model that is pre-trained",
                  .got = "none",
                  .hint = "Give a folder with vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz"});
  }
  if (s.from.empty() && s.captions.pretraining_share == 0) {
    radapt::fail({.what = "retrieval without --from",
                  .expected = "a --pretrain-share above 0",
                  .got = "0",
                  .hint = "Something has to be pre-trained on; or give a checkpoint"});
  }

  if (s.from.empty()) {
    example::retrieval<example::SmallClip>(s);
  } else {
    example::with_architecture(
        example::TrainedArchitectures{}, s.from, [&]<class Arch>() { example::retrieval<Arch>(s); },
        example::add_a_trained_architecture);
  }
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
