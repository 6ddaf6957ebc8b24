/// The main job without any download: a small CLIP is pre-trained on a procedural picture world, fine-tuned on one
/// style in three ways, and measured on that style and on shifts. Proves: fine-tuning costs robustness, R-Adapter and
/// WiSE-FT keep it.
///
///     quickstart [--seeds 3] [--pretrain-steps 2000] [--steps 250] [--report report.html]
#include <algorithm>

#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/outputs.hpp"
#include "support/picture_file.hpp"
#include "support/picture_world.hpp"
#include "support/study_report.hpp"
#include "support/word_tokenizer.hpp"

namespace {

using namespace example;

/// A CLIP that two cores can pre-train in a minute or two. Patches of 4 pixels: with larger ones the image tower needs
/// far more pictures before it tells shapes apart.
struct WorldClip : radapt::arch::Defaults {
  static constexpr Index embed = 64, image = 32, patch = 4, context = 16, vocabulary = 64;
  static constexpr radapt::TowerSize vision{64, 2, 3, 256}, text{64, 2, 2, 256};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};

/// The world of the quick start. A minute of pre-training is enough for five of the eight styles and the plainer
/// backgrounds, upright.
PictureWorld world_to_learn() {
  return PictureWorld(
      {.rare_share = 1,
       .turned_share = 0,
       .pretraining_styles = {Style::photo, Style::sketch, Style::neon, Style::poster, Style::chalk},
       .pretraining_backgrounds = {Background::plain, Background::gradient, Background::stripes, Background::dots}});
}

/// The shifts of that world: other colours, busy backgrounds, and the styles that pre-training shows.
std::vector<Split> shifts_of(const PictureWorld& world) {
  std::vector<Split> all;
  for (Split& split : world.shifts()) {
    const bool turned = split.rules.turned_share > 0;
    const bool known =
        split.rules.styles.size() > 1 || world.options().pretraining_styles.has(split.rules.styles.at(0));
    if (!turned && known) { all.push_back(std::move(split)); }
  }
  return all;
}

/// Channels first, scaled to 0..1, minus 0.5, over 0.25.
void normalise(const Picture& picture, float* out) {
  const std::size_t plane = picture.width * picture.height;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      out[c * plane + i] = (static_cast<float>(picture.rgb[i * 3 + c]) / 255.0f - 0.5f) / 0.25f;
    }
  }
}

ImageSet draw_set(const PictureWorld& world, const Split& split, std::size_t count) {
  ImageSet set{.name = split.name};
  constexpr std::size_t per_image = 3 * WorldClip::image * WorldClip::image;
  set.pixels.resize(count * per_image);
  radapt::Progress progress("drawing " + split.name, count);
  for (std::size_t i = 0; i < count; ++i) {
    const Sample sample = world.sample(split, i);
    normalise(sample.picture, set.pixels.data() + i * per_image);
    set.labels.push_back(static_cast<std::int32_t>(sample.label));
    progress.advance();
  }
  return set;
}

StudyData make_data(const PictureWorld& world, const WordTokenizer& tokenizer, std::size_t train, std::size_t test) {
  StudyData data;
  data.train = draw_set(world, world.train_id(), train);
  data.test = draw_set(world, world.test_id(), test);
  data.test.name = "photos (ID)";
  for (const Split& split : shifts_of(world)) { data.shifts.push_back(draw_set(world, split, test)); }
  data.class_names = PictureWorld::class_names();
  for (std::size_t c = 0; c < data.class_names.size(); ++c) {
    const auto object = static_cast<Object>(c);
    data.captions.push_back({tokenizer.encode(class_prompt(object))});
    Texts prompts;
    for (const std::string& prompt : class_prompts(object)) { prompts.push_back(tokenizer.encode(prompt)); }
    data.prompts.push_back(prompts);
  }
  return data;
}

/// What one seed of the study needs.
struct SeedJob {
  const PictureWorld& world;
  const WordTokenizer& tokenizer;
  const StudyData& data;
  const StudyOptions& options;
  std::uint64_t pretrain_steps;
};

/// Pre-trains, fine-tunes in every way and measures; adds what came out.
template <class Backend>
void run_seed(const SeedJob& job, StudyOutcome& outcome) {
  const std::uint64_t seed = job.options.seed, pictures = job.pretrain_steps * job.options.batch;
  const Split split = job.world.pretraining();
  std::uint64_t drawn = 0;
  const PairSource source{[&](std::span<float> pixels) {
    const Sample sample = job.world.sample(split, seed * pictures + drawn);
    normalise(sample.picture, pixels.data());
    // The first half of the captions names the object alone: colours and styles are easier, and would be learned first.
    const bool object_alone = 2 * drawn++ < pictures;
    return job.tokenizer.encode(object_alone ? fill_in("{a} {object}", sample.facts) : sample.caption);
  }};
  std::vector<double> losses;
  const auto base = pretrain<WorldClip, Backend>(source, job.options.batch, job.pretrain_steps, 1e-3, seed, losses);
  if (seed == 0) { outcome.pretraining_losses = losses; }
  Study<WorldClip, Backend> study(base, job.data, job.options);
  std::vector<MethodResult> run{study.zero_shot()};
  for (MethodResult& r : study.full_and_wise_ft()) { run.push_back(std::move(r)); }
  run.push_back(study.r_adapter());
  outcome.runs.push_back(std::move(run));
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app{"A robustly fine-tuned CLIP from nothing, in a few minutes", "quickstart"};
  std::uint64_t seeds = 1, pretrain_steps = 2000, steps = 250, train = 2000, test = 400;
  std::string report_path = "report.html", device;
  StudyOptions options;
  app.option_defaults()->always_capture_default();
  app.add_option("--seeds", seeds, "Repeat everything under this many seeds and report the spread")
      ->check(CLI::Range(1, 100));
  app.add_option("--pretrain-steps", pretrain_steps, "Steps of contrastive pre-training, 64 pairs each")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--steps", steps, "Steps of each fine-tuning")->check(CLI::Range(1, 1000000));
  app.add_option("--train", train, "Training pictures of the fine-tuning task")->check(CLI::Range(1, 1000000));
  app.add_option("--test", test, "Pictures of each test set")->check(CLI::Range(1, 1000000));
  app.add_option("--alpha", options.alpha, "What Rescale and WiSE-FT are reported at")->check(CLI::Range(0.0, 1.0));
  add_device_option(app, device);
  app.add_option("--report", report_path, "Where the report goes");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  options.steps = steps;
  check_output_file(report_path);

  const auto start = std::chrono::steady_clock::now();
  const PictureWorld world = world_to_learn();
  const WordTokenizer tokenizer(vocabulary());
  const StudyData data = make_data(world, tokenizer, train, test);

  StudyOutcome outcome;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    if (seeds > 1) { fmt::print("seed {} of {}\n", seed + 1, seeds); }
    options.seed = seed;
    on_device(device, [&]<class Backend>() {
      run_seed<Backend>({world, tokenizer, data, options, pretrain_steps}, outcome);
    });
  }

  print(accuracy_table(outcome, data));
  std::vector<Picture> pictures;
  for (const Split& split : shifts_of(world)) {
    for (const Sample& sample : world.samples(split, std::min<std::size_t>(3, test))) {
      pictures.push_back(sample.picture);
    }
  }
  Report report("radapt quickstart: robust fine-tuning of a small CLIP", encode_png);
  report.paragraph(fmt::format(
      "A CLIP with {} parameters was pre-trained on {} captioned pictures of a procedural world, then fine-tuned on {} "
      "photos in which colours give the label away. The shifts take that away, or change style, background or "
      "rotation.",
      radapt::count<radapt::Clip<WorldClip>>(), pretrain_steps * options.batch, train));
  report.code(
      "using Robust = radapt::recipe::r_adapter<WorldClip>;   // model, what trains, ensembles and loss as one type\n"
      "radapt::Trainer<Robust, radapt::onednn> trainer(weights, options);\n"
      "radapt::Weights<radapt::Clip<WorldClip>> merged = radapt::deploy(trainer, 0.5);   // plain CLIP again");
  write_study(report, outcome, data, pictures);
  report.write(report_path);
  fmt::print("\nreport: {}   total time: {:.0f} s\n", report_path, seconds_since(start));
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
