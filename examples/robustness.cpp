/// Every method of robust fine-tuning from one pre-trained CLIP, under several seeds, on one domain of an image folder
/// and measured on the others. Proves: how the methods compare when all of them choose by the same rule. A run that was
/// stopped goes on where it was: what is in --results is not done again.
///
///     robustness --data pacs --id photo --ood art_painting,cartoon,sketch --vocabulary clip_bpe --seeds 3
#include "compiled_architectures.hpp"
#include "support/command_line.hpp"
#include "support/outputs.hpp"
#include "support/robustness_job.hpp"
#include "support/small_clip.hpp"
#include "support/study_options.hpp"

int main(int argc, char** argv) try {
  example::RobustnessSettings s;
  s.study.seeds = 3;
  s.study.study.steps = 200;
  s.study.study.momentum = 0.95;
  s.study.study.tau = 0;
  CLI::App app{
      "Compares zero-shot, linear probe, LP-FT, full fine-tuning, WiSE-FT, OSE, VRF, FLYP, StarFT, LoRA, AdaptFormer\n"
      "and R-Adapter in parts, fine-tuned on one domain and measured on others.\n"
      "Learning rates, alpha and VRF's a and b are chosen on validation images of that domain.",
      "robustness"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  example::add_study_options(app, s.study);
  app.add_option("--methods", s.methods, "Only these, by the names in the table, separated by commas")->delimiter(',');
  app.add_option("--results", s.results, "JSON lines, one for each method and seed; a run goes on where it ends");
  example::add_rates(app, "--full-lr", s.rates.full, "Rates to choose from where whole towers are trained");
  example::add_rates(app, "--head-lr", s.rates.head, "Rates to choose from for the linear probe");
  example::add_rates(app, "--adapter-lr", s.rates.adapter, "Rates to choose from for adapters");
  app.add_option("--retrieval", s.tasks.retrieval,
                 "Show retrieval by the same models in the report: Karpathy's dataset_*.json, or a table of captions");
  app.add_option("--retrieval-images", s.tasks.retrieval_images,
                 "Folder of its images, if not images/ beside the file");
  app.add_option("--segmentation", s.tasks.segmentation,
                 "Show segmentation by the same models: a folder with images/ and outlines in labels/ (YOLO)");
  app.add_option("--segmentation-labels", s.tasks.segmentation_labels,
                 "Names of its classes in the order of their numbers, separated by commas, or a file of them")
      ->delimiter(',');
  app.add_option("--task-limit", s.tasks.limit, "Use at most this many images of each of these tasks; 0: all");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.study.command = example::command_of("robustness", argc, argv);
  example::check_output_files({s.results, s.study.report, s.study.figure}, {s.study.vocabulary, s.tasks.retrieval});
  example::check_output_folder(s.study.checkpoints);
  example::check_task_pictures(s.tasks);
  if (s.tasks.any() && s.study.from.empty() && s.study.vocabulary.empty()) {
    radapt::fail({.what = "robustness with --retrieval or --segmentation",
                  .expected = "--vocabulary, since their captions and names are more than the words of the domains",
                  .got = "none",
                  .hint = "Give a folder with vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz"});
  }
  example::on_device(s.study.device, [&]<class Backend>() {
    if (s.study.from.empty()) {
      example::robustness<example::SmallClip, Backend>(s);
    } else {
      example::with_architecture(
          example::TrainedArchitectures{}, s.study.from, [&]<class Arch>() { example::robustness<Arch, Backend>(s); },
          example::add_a_trained_architecture);
    }
  });
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
