/// Checkpoints: a resumed run gives the bits of an uninterrupted one, and no other run is taken for it.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "radapt/train/checkpoint.hpp"
#include "support/temporary_folder.hpp"
#include "train/tiny_run.hpp"

using namespace radapt_test::tiny_run;

namespace {

/// The file of a run of three steps, and that file with changes.
struct Written {
  radapt_test::TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "run.safetensors";
  radapt::Weights<Model> weights = first_weights();

  Written() {
    Trainer first(weights, options());
    train(first, 3);
    radapt::save_checkpoint(path, first, {{"epoch", "2"}, {"order", "a, b\n"}});
  }
  /// A copy in which `value` is the last element of a tensor, and `metadata` stands in the places of what it names.
  std::filesystem::path changed(const std::string& tensor, float value,
                                const std::map<std::string, std::string>& metadata) const {
    const auto file = radapt::safetensors::open(path);
    std::map<std::string, radapt::safetensors::Entry> entries;
    std::map<std::string, std::vector<float>> values;
    for (const auto& [name, facts] : file.tensors()) {
      values[name] = file.read<float>(name);
      if (name == tensor) { values[name].back() = value; }
      entries[name] = {.dtype = radapt::safetensors::DType::F32,
                       .shape = facts.shape,
                       .data = std::as_bytes(std::span<const float>(values[name]))};
    }
    radapt::safetensors::Metadata all = file.metadata();
    for (const auto& [key, text] : metadata) { all.set(key, text); }
    const auto other = folder.path() / "other.safetensors";
    radapt::safetensors::write(other, entries, all);
    return other;
  }
};

/// Resuming a trainer of these weights and options throws `message` and changes nothing.
void refuses(const std::filesystem::path& path, const radapt::Weights<Model>& weights,
             const radapt::TrainOptions& wanted, const std::string& message) {
  CAPTURE(message);
  Trainer fresh(weights, wanted);
  const std::vector<float> before(fresh.state().parameter_buffer().begin(), fresh.state().parameter_buffer().end());
  CHECK_THROWS_WITH_AS(radapt::resume(path, fresh), doctest::Contains(message.c_str()), radapt::error);
  CHECK(std::equal(before.begin(), before.end(), fresh.state().parameter_buffer().begin()));
  CHECK(fresh.steps() == 0);
}

}  // namespace

TEST_CASE("a resumed run gives the bits of an uninterrupted one") {
  const Written written;
  Trainer whole(written.weights, options());
  train(whole, 6);
  Trainer second(written.weights, options());
  const radapt::CheckpointFacts facts = radapt::resume(written.path, second);
  CHECK(facts.steps == 3);
  CHECK(facts.notes == std::map<std::string, std::string>{{"epoch", "2"}, {"order", "a, b\n"}});
  CHECK(second.steps() == 3);
  train(second, 3);
  CHECK(same_bits(whole.state().parameter_buffer(), second.state().parameter_buffer()));
  CHECK(same_bits(whole.state().second_moment(), second.state().second_moment()));
  CHECK(same_bits(whole.average_buffer(), second.average_buffer()));
}

TEST_CASE("a damaged checkpoint changes nothing") {
  const Written written;
  const std::string last = "average/" + Trainer(written.weights, options()).state().slots().back().name;
  refuses(written.changed(last, std::nanf(""), {}), written.weights, options(), "expected numbers that are finite");
  refuses(written.changed(last, 0.0F, {{"radapt.checkpoint", "3"}}), written.weights, options(),
          "expected a training checkpoint of version 2, got version 3");
  refuses(written.changed(last, 0.0F, {{"radapt.steps", "-3"}}), written.weights, options(),
          "expected a training checkpoint, got a file without its number of steps");
  Trainer fits(written.weights, options());
  CHECK(radapt::resume(written.changed(last, 0.0F, {}), fits).steps == 3);
}

TEST_CASE("a checkpoint of another run is refused") {
  const Written written;
  const auto refuses_option = [&](const std::string& message,
                                  const std::function<void(radapt::TrainOptions&)>& change) {
    radapt::TrainOptions other = options();
    change(other);
    refuses(written.path, written.weights, other, message);
  };
  refuses_option("expected seed 9, as in this trainer, got 3", [](auto& o) { o.seed = 9; });
  refuses_option("expected size.batch 7, as in this trainer, got 6", [](auto& o) { o.size.batch = 7; });
  refuses_option("expected size.micro_batch 3", [](auto& o) { o.size.micro_batch = 3; });
  refuses_option("expected schedule.base 0.02", [](auto& o) { o.schedule.base = 0.02; });
  refuses_option("expected schedule.warmup 3", [](auto& o) { o.schedule.warmup = 3; });
  refuses_option("expected schedule.total 9", [](auto& o) { o.schedule.total = 9; });
  refuses_option("expected schedule.minimum 1", [](auto& o) { o.schedule.minimum = 1; });
  refuses_option("expected optimizer.beta1 0.5", [](auto& o) { o.optimizer.beta1 = 0.5; });
  refuses_option("expected optimizer.beta2 0.5", [](auto& o) { o.optimizer.beta2 = 0.5; });
  refuses_option("expected optimizer.eps 0.5", [](auto& o) { o.optimizer.eps = 0.5; });
  refuses_option("expected optimizer.weight_decay 0.5", [](auto& o) { o.optimizer.weight_decay = 0.5; });
  refuses_option("expected optimizer.rule everything",
                 [](auto& o) { o.optimizer.rule = radapt::DecayRule::everything; });
  refuses_option("expected clip_norm 2", [](auto& o) { o.clip_norm = 2; });
  refuses_option("expected adapter_drop 0.5", [](auto& o) { o.adapter_drop = 0.5; });
  refuses_option("expected granularity per_batch", [](auto& o) { o.granularity = radapt::DropGranularity::per_batch; });
  refuses_option("expected dropout 0.5", [](auto& o) { o.dropout = 0.5; });
  refuses_option("expected average.kind beta", [](auto& o) { o.average.kind = radapt::Average::Kind::beta; });
  refuses_option("expected average.momentum 0.5", [](auto& o) { o.average.momentum = 0.5; });
  refuses_option("expected average.beta 0.25", [](auto& o) { o.average.beta = 0.25; });
  refuses_option("expected average.target product",
                 [](auto& o) { o.average.target = radapt::Average::Target::product; });
  refuses_option("expected clamp_logit_scale false", [](auto& o) { o.clamp_logit_scale = false; });

  // A micro-batch of the whole batch is none, and captions' lengths are a matter of memory.
  radapt::TrainOptions same = options();
  same.size.micro_batch = same.size.batch;
  same.size.longest_caption = 7;
  Trainer fits(written.weights, same);
  CHECK(radapt::resume(written.path, fits).steps == 3);

  radapt::Weights<Model> other_base = first_weights();
  other_base.tensor("visual.proj").data[3] += 1e-3F;
  refuses(written.path, other_base, options(), "expected base weights of digest");

  // An average that the run would go on without.
  using Without = radapt::Trainer<radapt::Recipe<Model, Recipe::tune, radapt::ensemble::During<radapt::AdapterDrop>,
                                                 Recipe::after, radapt::loss::MpmNce>,
                                  radapt::reference>;
  Without without(written.weights, options());
  CHECK_THROWS_WITH_AS(radapt::resume(written.path, without), doctest::Contains("got a tensor 'average/"),
                       radapt::error);

  using Contrastive =
      radapt::Trainer<radapt::Recipe<Model, Recipe::tune, Recipe::during, Recipe::after, radapt::loss::Contrastive>,
                      radapt::reference>;
  Contrastive other_loss(written.weights, options());
  CHECK_THROWS_WITH_AS(radapt::resume(written.path, other_loss), doctest::Contains("expected loss "), radapt::error);
}

TEST_CASE("other options are taken when they are asked for") {
  const Written written;
  radapt::TrainOptions longer = options();
  longer.schedule.total = 20;
  Trainer second(written.weights, longer);
  CHECK(radapt::resume(written.path, second, {.other_options = true}).steps == 3);
  CHECK(second.step(Data(3).get()).lr == longer.schedule(3));
}
