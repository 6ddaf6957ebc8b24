/// Few-shot classification on the features of a frozen CLIP: a handful of images of each class, nine methods, and what
/// each number of shots is worth. Proves: Tip-Adapter, CLIP-Adapter, heads and their ensembles on real features in
/// seconds; with --base-to-novel, what they do to classes without shots.
///
///     few_shot --data clip_vitb32_features --same ice_cream=icecream,omelette=omelet,tacos=taco
///     few_shot --data clip_vitb32_features --same ice_cream=icecream,omelette=omelet,tacos=taco --base-to-novel
#include "support/command_line.hpp"
#include "support/few_shot_job.hpp"
#include "support/outputs.hpp"

int main(int argc, char** argv) try {
  example::FewShotSettings s;
  std::vector<std::string> same;
  CLI::App app{
      "Compares zero-shot, linear probe, WiSE-FT, OSE, VRF, CLIP-Adapter, Tip-Adapter and Tip-Adapter-F on features\n"
      "that a CLIP has computed before, by the number of shots. What is chosen is chosen on validation images.",
      "few_shot"};
  app.get_formatter()->column_width(32);
  app.option_defaults()->always_capture_default();
  app.add_option("--data", s.files.folder, "Folder with SET_train_features.npy, SET_train_labels.npy, ... and texts")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--set", s.files.set, "SET, the name before _train_features.npy, _test_labels.npy and _names.json");
  app.add_option("--texts", s.files.texts, "Text features TEXTS.npy with their TEXTS_names.json");
  app.add_option("--same", same, "What classes are called among the texts: CLASS=TEXT, separated by commas")
      ->delimiter(',');
  app.add_option("--shots", s.shots, "Numbers of images of each class to train on")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000000));
  app.add_option("--seeds", s.seeds, "Draws of the shots")->check(CLI::Range(1, 1000));
  app.add_option("--validation-shots", s.validation_shots,
                 "Validation images of a class: as many as shots, at most this")
      ->check(CLI::Range(1, 1000000));
  app.add_flag("--base-to-novel", s.base_to_novel, "Train on half of the classes and test on both halves");
  app.add_option("--steps", s.methods.steps, "Steps of heads and CLIP-Adapter, on all shots at once")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--scale", s.methods.scale, "exp(logit_scale) of the CLIP")->check(example::above_zero());
  example::add_rates(app, "--head-lr", s.methods.head_lrs, "Rates to choose from for the linear probe");
  example::add_rates(app, "--adapter-lr", s.methods.adapter_lrs, "Rates to choose from for CLIP-Adapter");
  app.add_option("--results", s.results, "JSON lines, one for each method and draw; a run appends");
  app.add_option("--report", s.report, "Where the report goes");
  app.add_option("--figure", s.figure, "Where the curve goes as a file of its own (SVG)");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  s.command = example::command_of("few_shot", argc, argv);
  for (const std::string& pair : same) {
    const std::size_t sign = pair.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == pair.size()) {
      radapt::fail({.what = "option --same",
                    .expected = "CLASS=TEXT",
                    .got = "'" + pair + "'",
                    .hint = "As in ice_cream=icecream"});
    }
    if (!s.files.same.emplace(pair.substr(0, sign), pair.substr(sign + 1)).second) {
      radapt::fail({.what = "option --same",
                    .expected = "each class once",
                    .got = "'" + pair.substr(0, sign) + "' twice",
                    .hint = "A class has one name among the texts"});
    }
  }
  example::check_output_files({s.results, s.report, s.figure});

  const example::FeatureData data = example::read_feature_data(s.files);
  switch (data.train.width) {
    case 512:  // ViT-B
      example::few_shot<512>(s, data);
      break;
    case 768:  // ViT-L
      example::few_shot<768>(s, data);
      break;
    default:
      radapt::fail({.what = "the features '" + s.files.set + "'",
                    .expected = "512 or 768 numbers for an image, which is what CLIP's ViT-B and ViT-L give",
                    .got = std::to_string(data.train.width),
                    .hint = "Add a width to the list in examples/few_shot.cpp"});
  }
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
