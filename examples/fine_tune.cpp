/// The main job on real images: a CLIP is fine-tuned on one domain of an image folder and measured on the others, with
/// rates and alpha chosen on validation images of the training domain. Proves: what each method gains and costs on data
/// of yours.
///
///     fine_tune --data pacs --id photo --ood art_painting,cartoon,sketch --vocabulary clip_bpe
///     fine_tune --data pacs --id photo --ood sketch --from clip-vit-base-patch32 --lr 1e-5,3e-5 --adapter-lr 1e-3
#include "support/command_line.hpp"
#include "support/fine_tune_job.hpp"
#include "support/outputs.hpp"
#include "trained_architectures.hpp"

int main(int argc, char** argv) try {
  example::FineTuneSettings s;
  s.study.steps = 200;
  s.study.momentum = 0.95;
  s.study.tau = 0;
  s.study.full_lrs = {3e-5, 1e-4, 3e-4};
  s.study.flyp_lrs = {3e-5, 1e-4, 3e-4};
  s.study.adapter_lrs = {1e-3, 3e-3, 1e-2};
  CLI::App app{
      "Fine-tunes a CLIP on one domain and measures it on that domain and on others.\n"
      "--data holds a folder for every domain, and each of those a folder with images for every class.\n"
      "Without --from a small CLIP is pre-trained first, on one half of all domains.",
      "fine_tune"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  app.add_option("--data", s.data, "Folder of the domains")->required();
  app.add_option("--id", s.id, "Domain to fine-tune on")->required();
  app.add_option("--ood", s.ood, "Domains to test on besides, separated by commas")->required()->delimiter(',');
  app.add_option("--from", s.from, "Checkpoint folder (transformers or open_clip) to fine-tune");
  app.add_option("--vocabulary", s.vocabulary,
                 "CLIP's tokenizer: a folder or BPE file, if not beside the weights.\n"
                 "Without it, what is pre-trained here reads its captions word by word");
  app.add_option("--seeds", s.seeds, "Repeat the fine-tuning under this many seeds")->check(CLI::Range(1, 100));
  app.add_option("--split-seed", s.split_seed, "Seed of the split into parts, and of the pre-training");
  app.add_option("--pretrain-share", s.pretraining_share,
                 "Share of every domain that is, or was, for pre-training only (0.5; 0 with --from)")
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--limit", s.limit, "Use at most this many images of each class and domain; 0: all");
  app.add_option("--pretrain-steps", s.pretrain_steps, "Steps of contrastive pre-training")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--pretrain-lr", s.pretrain_lr, "Its largest learning rate")->check(CLI::PositiveNumber);
  app.add_option("--steps", s.study.steps, "Steps of each fine-tuning")->check(CLI::Range(1, 1000000));
  app.add_option("--batch", s.study.batch, "Images in a step")->check(CLI::Range(1, 65536));
  app.add_option("--micro-batch", s.study.micro_batch, "Images whose activations are in memory at once; 0: the batch");
  app.add_option("--lr", s.study.full_lrs, "Rates to choose from for full fine-tuning")->delimiter(',');
  app.add_option("--flyp-lr", s.study.flyp_lrs, "Rates to choose from for FLYP")->delimiter(',');
  app.add_option("--adapter-lr", s.study.adapter_lrs, "Rates to choose from for R-Adapter")->delimiter(',');
  app.add_option("--momentum", s.study.momentum, "Of R-Adapter's moving average")->check(CLI::Range(0.0, 0.999999));
  app.add_option("--tau", s.study.tau, "Temperature of R-Adapter's loss; 0: that of the model (0.01 in OpenAI's CLIPs)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--crop", s.crop, "Least share of a picture that a training crop shows")->check(CLI::Range(0.01, 1.0));
  app.add_option("--pretrain-crop", s.pretraining_crop, "The same while pre-training")->check(CLI::Range(0.01, 1.0));
  app.add_flag("!--no-flyp", s.flyp, "Leave FLYP out");
  app.add_option("--save", s.save, "Folder for the adapters (and the pre-trained model), as merge reads them");
  app.add_option("--report", s.report, "Where the report goes");
  app.add_option("--log", s.log, "JSON lines, one for each step; a run appends");
  app.add_option("--figure", s.figure, "Where the ID-OOD chart goes as a file of its own (SVG)");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.command = example::command_of("fine_tune", argc, argv);
  example::check_output_file(s.report);
  example::check_output_file(s.log);
  example::check_output_file(s.figure);
  example::check_output_folder(s.save);

  if (s.from.empty()) {
    example::fine_tune<example::SmallClip>(s);
  } else {
    example::with_architecture(
        example::TrainedArchitectures{}, s.from, [&]<class Arch>() { example::fine_tune<Arch>(s); },
        example::add_a_trained_architecture);
  }
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
