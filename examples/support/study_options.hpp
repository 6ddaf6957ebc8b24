#pragma once
/// The options that fine_tune and robustness share: data, pre-training, length of the runs, the report.
#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "device.hpp"
#include "fine_tune_report.hpp"

namespace example {

inline void add_study_options(CLI::App& app, FineTuneSettings& s) {
  app.add_option("--data", s.data, "Folder of the domains")->required();
  app.add_option("--id", s.id, "Domain to fine-tune on")->required();
  app.add_option("--ood", s.ood, "Domains to test on besides, separated by commas")
      ->required()
      ->delimiter(',')
      ->default_str("");
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
  app.add_option("--pretrain-lr", s.pretrain_lr, "Its largest learning rate")->check(above_zero());
  app.add_option("--steps", s.study.steps, "Steps of each fine-tuning")->check(CLI::Range(1, 1000000));
  app.add_option("--batch", s.study.batch, "Images in a step")->check(CLI::Range(1, 65536));
  app.add_option("--micro-batch", s.study.micro_batch, "Images whose activations are in memory at once; 0: the batch");
  app.add_option("--momentum", s.study.momentum, "Of R-Adapter's moving average")->check(CLI::Range(0.0, 0.999999));
  app.add_option("--tau", s.study.tau, "Temperature of R-Adapter's loss; 0: that of the model (0.01 in OpenAI's CLIPs)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--crop", s.crop, "Least share of a picture that a training crop shows")->check(CLI::Range(0.01, 1.0));
  app.add_option("--pretrain-crop", s.pretraining_crop, "The same while pre-training")->check(CLI::Range(0.01, 1.0));
  add_checkpoint_options(app, s.checkpoints, s.checkpoint_every);
  add_device_option(app, s.device);
  app.add_option("--report", s.report, "Where the report goes");
  app.add_option("--figure", s.figure, "Where the ID-OOD chart goes as a file of its own (SVG)");
}

}  // namespace example
