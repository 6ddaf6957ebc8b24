/// Weights of a model whose activations are computed again: they are those of the model without, by name.
#include <doctest/doctest.h>

#include <algorithm>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/io/adapter_file.hpp"
#include "radapt/io/load.hpp"
#include "radapt/io/peft_lora.hpp"
#include "radapt/train/carry_over.hpp"
#include "radapt/train/checkpoint.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"
#include "support/temporary_folder.hpp"

using radapt::Index;
using radapt::Weights;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 32};
};
using Plain = radapt::Clip<Tiny>;
using Recipe = radapt::recipe::r_adapter<Tiny>;
using Again = radapt::with_recompute<Recipe>;
constexpr Index batch = 4;

struct Data {
  std::vector<float> pixels = std::vector<float>(batch * Plain::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<Plain>();
  Data() {
    radapt::Random random(5);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    for (Index i = 0; i < batch; ++i) {
      captions.add(std::vector<std::int64_t>{14, static_cast<std::int64_t>(random.below(14)), 15});
    }
  }
  radapt::PairBatch<float> get() const { return {.pixels = pixels, .captions = &captions}; }
};

/// Drawn weights with adapters that do something.
template <class Model>
Weights<Model> drawn() {
  Weights<Model> weights;
  radapt::initialise_clip(weights, 3);
  radapt::Random random(4);
  for (const auto& tensor : weights.tensors()) {
    if (!tensor.facts.is_adapter || tensor.size() == 1) { continue; }
    for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] = static_cast<float>(0.1 * random.normal()); }
  }
  return weights;
}
radapt::TrainOptions options() {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 1e-2, .warmup = 0, .total = 10, .minimum = 0};
  return o;
}
/// Equal bits, and tensors of equal names.
template <class A, class B>
bool same(const Weights<A>& a, const Weights<B>& b) {
  const auto x = a.tensors();
  const auto y = b.tensors();
  if (x.size() != y.size()) { return false; }
  for (Index k = 0; k < x.size(); ++k) {
    if (x[k].name() != y[k].name() || !std::equal(x[k].data, x[k].data + x[k].size(), y[k].data)) { return false; }
  }
  return true;
}

}  // namespace

TEST_CASE("weights are those of the model without, and move by name") {
  const auto plain = drawn<Recipe::trained>();
  const auto again = drawn<Again::trained>();
  CHECK(same(plain, again));
  Weights<Recipe::trained> copy;
  CHECK(radapt::copy_by_name(copy, again) == plain.tensors().size());
  CHECK(same(copy, plain));
}
TEST_CASE("a recomputed run is checkpointed, deployed and merged like the other") {
  const Data data;
  const auto plain = drawn<Recipe::trained>();
  const auto again = drawn<Again::trained>();
  radapt::Trainer<Recipe, radapt::reference> a(plain, options());
  radapt::Trainer<Again, radapt::reference> b(again, options());
  for (int i = 0; i < 2; ++i) {
    a.step(data.get());
    b.step(data.get());
  }
  const radapt_test::TemporaryFolder folder;
  radapt::save_checkpoint(folder.path() / "run.safetensors", a);  // of the run without
  radapt::Trainer<Again, radapt::reference> resumed(again, options());
  radapt::resume(folder.path() / "run.safetensors", resumed);
  for (auto* run : {&b, &resumed}) { run->step(data.get()); }
  a.step(data.get());
  CHECK(same(a.weights(), b.weights()));
  CHECK(same(a.weights(), resumed.weights()));
  const Weights<Plain> merged = radapt::deploy(a, 0.6), merged_again = radapt::deploy(b, 0.6);
  CHECK(same(merged, merged_again));
  CHECK_FALSE(same(merged, Weights<Plain>(radapt::merge(0.0, plain))));
}
TEST_CASE("adapter files of a model are files of the model that computes again") {
  const radapt_test::TemporaryFolder folder;
  const auto plain = drawn<Recipe::trained>();
  radapt::save_adapters(folder.path() / "r_adapter.safetensors", plain, false);
  Weights<Again::trained> read;
  radapt::initialise_clip(read, 3);
  CHECK_FALSE(same(read, plain));
  radapt::load_adapters(folder.path() / "r_adapter.safetensors", read);
  CHECK(same(read, plain));
  radapt::save_adapters(folder.path() / "again.safetensors", read, false);
  Weights<Recipe::trained> back;
  radapt::initialise_clip(back, 3);
  CHECK(radapt::load_adapters(folder.path() / "again.safetensors", back).rank == "full");
  CHECK(same(back, plain));

  using Policy = radapt::Lora<2>;
  using LoraAgain = radapt::Clip<Tiny, radapt::Recomputed<Policy, radapt::recompute::block>>;
  auto lora = drawn<LoraAgain>();
  radapt::set_lora_alpha(lora, 6.0);
  radapt::save_peft(folder.path() / "lora", lora);
  Weights<radapt::Clip<Tiny, Policy>> lora_read;
  radapt::initialise_clip(lora_read, 3);
  CHECK(radapt::load_peft(folder.path() / "lora", lora_read).alpha ==
        doctest::Approx(6.0).epsilon(1e-6));  // alpha / r as f32
  CHECK(same(lora_read, lora));
  CHECK(same(radapt::merge(1.0, lora), radapt::merge(1.0, lora_read)));
}
TEST_CASE("a run goes on where one without ended, and a checkpoint of a plain model is read") {
  using Tuning = radapt::with_recompute<radapt::recipe::flyp<Tiny>, radapt::recompute::block>;
  const Data data;
  const auto plain = drawn<Plain>();
  radapt::Trainer<radapt::recipe::flyp<Tiny>, radapt::reference> first(plain, options());
  first.step(data.get());
  const auto start = radapt::carry_over<Tuning>(first);
  CHECK(same(start, first.weights()));
  radapt::Trainer<Tuning, radapt::reference> second(start, options());
  second.step(data.get());
  const radapt_test::TemporaryFolder folder;
  radapt::save(folder.path() / "model", second.weights());
  CHECK(same(radapt::load<Plain>(folder.path() / "model"), second.weights()));
  CHECK(same(radapt::load<Tuning::trained>(folder.path() / "model"), second.weights()));
  const auto adapted = radapt::with_adapters<radapt::Recomputed<radapt::RAdapter<>>>(plain, 1);
  CHECK(same(radapt::merge(0.0, adapted), plain));
}
