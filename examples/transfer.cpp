/// Adapters that were trained on one pre-trained CLIP, moved into another one without data (ProLoRA). Proves: what is
/// left of them there, beside copying them, doing nothing, and training them anew.
///
///     transfer --data pacs --id photo --ood art_painting,cartoon,sketch --vocabulary clip_bpe
#include "compiled_architectures.hpp"
#include "support/command_line.hpp"
#include "support/outputs.hpp"
#include "support/small_clip.hpp"
#include "support/study_options.hpp"
#include "support/transfer_job.hpp"

int main(int argc, char** argv) try {
  example::TransferSettings s;
  s.study.study.steps = 200;
  s.study.study.momentum = 0.95;
  s.study.study.tau = 0;
  s.study.study.adapter_lrs = {1e-3, 3e-3, 1e-2};
  CLI::App app{
      "Trains R-Adapters on a source CLIP and moves them into a target CLIP of the same architecture.\n"
      "Without --from and --to both are pre-trained here, from different seeds.",
      "transfer"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  example::add_study_options(app, s.study);
  app.add_option("--to", s.to, "Checkpoint folder of the target; --from is the source's");
  example::add_rates(app, "--adapter-lr", s.study.study.adapter_lrs, "Rates to choose from");
  app.add_option("--energy", s.energy, "Share of a weight's energy that its leading space holds")
      ->check(CLI::Range(0.01, 1.0));
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.study.command = example::command_of("transfer", argc, argv);
  example::check_output_files({s.study.report, s.study.figure}, {s.study.vocabulary});
  if (s.study.from.empty() != s.to.empty()) {
    radapt::fail({.what = "options --from and --to",
                  .expected = "both, or neither",
                  .got = s.to.empty() ? "--from alone" : "--to alone",
                  .hint = "Without checkpoints both models are pre-trained"});
  }
  if (s.to.empty()) {
    example::transfer<example::SmallClip>(s);
  } else {
    example::with_architecture(
        example::TrainedArchitectures{}, s.study.from, [&]<class Arch>() { example::transfer<Arch>(s); },
        example::add_a_trained_architecture);
  }
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
