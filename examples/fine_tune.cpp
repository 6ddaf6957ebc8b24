/// The main job on real images: a CLIP is fine-tuned on one domain of an image folder and measured on the others, with
/// rates and alpha chosen on validation images of the training domain. Proves: what each method gains and costs on data
/// of yours.
///
///     fine_tune --data pacs --id photo --ood art_painting,cartoon,sketch --vocabulary clip_bpe
///     fine_tune --data pacs --id photo --ood sketch --from clip-vit-base-patch32 --lr 1e-5,3e-5 --adapter-lr 1e-3
#include "compiled_architectures.hpp"
#include "support/command_line.hpp"
#include "support/fine_tune_job.hpp"
#include "support/outputs.hpp"
#include "support/study_options.hpp"

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
  example::add_study_options(app, s);
  example::add_rates(app, "--lr", s.study.full_lrs, "Rates to choose from for full fine-tuning");
  example::add_rates(app, "--flyp-lr", s.study.flyp_lrs, "Rates to choose from for FLYP");
  example::add_rates(app, "--adapter-lr", s.study.adapter_lrs, "Rates to choose from for R-Adapter");
  bool no_flyp = false;
  app.add_flag("--no-flyp", no_flyp, "Leave FLYP out");
  app.add_option("--save", s.save, "Folder for the adapters (and the pre-trained model), as merge reads them");
  app.add_option("--log", s.log, "JSON lines, one for each step; a run appends");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.flyp = !no_flyp;
  s.command = example::command_of("fine_tune", argc, argv);
  example::check_output_files({s.report, s.log, s.figure}, {s.vocabulary});
  example::check_output_folder(s.save);
  example::check_output_folder(s.checkpoints);
  if (!s.save.empty() && s.from.empty()) { example::check_checkpoint_folder(s.save / "base"); }

  example::on_device(s.device, [&]<class Backend>() {
    if (s.from.empty()) {
      example::fine_tune<example::SmallClip, Backend>(s);
    } else {
      example::with_architecture(
          example::TrainedArchitectures{}, s.from, [&]<class Arch>() { example::fine_tune<Arch, Backend>(s); },
          example::add_a_trained_architecture);
    }
  });
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
