/// What a step writes into a log, terms by their names.
#include "radapt/train/step_json.hpp"

#include <fstream>

#include "support/temporary_folder.hpp"
#include "train/term_runs.hpp"

using namespace radapt_test;

TEST_CASE("every term of a step stands in the log by its name, and together with the rest it is the loss") {
  using CaRot = radapt::recipe::carot<Tiny>;
  using Flyp = radapt::recipe::flyp<Tiny>;
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  const auto base = first_weights<TinyClip>();
  TrainerOf<CaRot> trainer(base, options(0, 0.0));
  TrainerOf<Flyp> plain(base, options(0, 0.0));
  radapt::StepReport report;
  {
    radapt::JsonLines log(path);
    for (int i = 0; i < 2; ++i) {
      report = trainer.step(Data(1).batch_of<TrainerOf<CaRot>>());
      log.write(radapt::step_json(report));
    }
    log.write(radapt::step_json(plain.step(Data(1).batch_of<TrainerOf<Flyp>>())));
  }
  std::ifstream file(path);
  std::vector<nlohmann::ordered_json> lines;
  for (std::string line; std::getline(file, line);) { lines.push_back(nlohmann::ordered_json::parse(line)); }
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["terms"]["contrastive_distillation"] == 0.0);  // it begins at step 1
  CHECK(lines[1]["step"] == 1);
  CHECK(lines[1]["loss"] == report.loss);
  CHECK(lines[1]["terms"]["orthogonality"] == report.terms[0].value);
  CHECK(lines[1]["terms"]["contrastive_distillation"] == report.terms[1].value);
  CHECK(report.terms[1].value > 0);
  CHECK_FALSE(lines[2].contains("terms"));
  // The rate is zero: all three steps are at the same weights.
  CHECK(report.loss ==
        doctest::Approx(lines[2]["loss"].get<double>() + report.terms[0].value + report.terms[1].value).epsilon(1e-14));
}

TEST_CASE("a line holds what a step reports, in its order") {
  const radapt::StepReport report{
      .step = 3, .loss = 1.5, .lr = 1e-5, .grad_norm = 0.5, .terms = {{"toward_base", 0.25}}};
  CHECK(radapt::step_json(report).dump() ==
        "{\"step\":3,\"loss\":1.5,\"lr\":1e-05,\"grad_norm\":0.5,\"terms\":{\"toward_base\":0.25}}");
}
