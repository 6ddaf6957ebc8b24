/// Two adapters that radapt does not know, written here in a few lines each. Proves: nothing is registered, only the
/// adapter's own parameters train, and a linear one merges into plain CLIP weights.
#include <cmath>
#include <cstdint>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/deploy.hpp"
#include "support/command_line.hpp"

namespace mine {

using radapt::Index;
constexpr Index rank = 8;

/// h = y + up gelu(down y). It starts as the identity, since `up` is zero.
template <Index D, class Role>
struct Bottleneck
    : radapt::Residual<radapt::Sequential<radapt::Named<"down", radapt::Linear<D, rank, Role>>, radapt::QuickGelu,
                                          radapt::Named<"up", radapt::Linear<rank, D, Role>>>> {
  static void initialise(auto& p, radapt::Random& random) {
    auto& down = radapt::child<"down">(p).weight;
    for (Index i = 0; i < down.size(); ++i) { down.data[i] = 0.1f * static_cast<float>(random.normal()); }
  }
};

/// h = y + (y down) up: linear, so it may say how it folds into the layer in front of it.
template <Index D, class Role>
struct Linear : radapt::Residual<radapt::Sequential<radapt::Named<"down", radapt::Projection<D, rank, Role>>,
                                                    radapt::Named<"up", radapt::Projection<rank, D, Role>>>> {
  static void initialise(auto& p, radapt::Random& random) {
    auto& down = radapt::child<"down">(p).matrix;
    for (Index i = 0; i < down.size(); ++i) { down.data[i] = 0.1f * static_cast<float>(random.normal()); }
  }
  /// W += alpha up^T down^T W and b += alpha up^T down^T b, for W (D, in) and b (D).
  template <class T>
  static void fold(double alpha, const auto& p, radapt::Matrix<T> weight, radapt::Vector<T> bias) {
    const auto fold_column = [&](T* column, Index stride) {
      double inner[rank] = {};
      for (Index i = 0; i < D; ++i) {
        for (Index r = 0; r < rank; ++r) {
          inner[r] += static_cast<double>(radapt::child<"down">(p).matrix.data[i * rank + r]) *
                      static_cast<double>(column[i * stride]);
        }
      }
      for (Index i = 0; i < D; ++i) {
        double sum = 0;
        for (Index r = 0; r < rank; ++r) {
          sum += static_cast<double>(radapt::child<"up">(p).matrix.data[r * D + i]) * inner[r];
        }
        column[i * stride] = static_cast<T>(static_cast<double>(column[i * stride]) + alpha * sum);
      }
    };
    for (Index c = 0; c < weight.columns; ++c) { fold_column(weight.data + c, weight.columns); }
    fold_column(bias.data, 1);
  }
};

/// The policy: one of the two after every MLP of the image tower.
template <template <Index, class> class Layer>
struct AfterMlp {
  template <class Site, Index D>
  using at =
      std::conditional_t<std::is_same_v<Site, radapt::site::Site<radapt::site::after_mlp, radapt::role::tower::image>>,
                         Layer<D, radapt::role::in<radapt::role::adapter, typename Site::tower>>, radapt::Identity>;
};
static_assert(radapt::adapter_policy<AfterMlp<Bottleneck>>);

/// An architecture in four lines.
struct Small : radapt::arch::Defaults {
  static constexpr Index embed = 32, image = 32, patch = 8, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{64, 2, 2, 256}, text{32, 2, 2, 128};
};

template <class Policy>
using Recipe =
    radapt::Recipe<radapt::Clip<Small, Policy>, radapt::tune::only<radapt::role::adapter>,
                   radapt::ensemble::During<radapt::Accumulate>, radapt::ensemble::After<>, radapt::loss::MpmNce>;

/// Eight random pictures, each with a caption of its own.
struct Pairs {
  std::vector<float> pixels = std::vector<float>(8 * radapt::Clip<Small>::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<radapt::Clip<Small>>();
  Pairs() {
    radapt::Random random(3);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    for (std::int64_t i = 0; i < 8; ++i) { captions.add(std::vector<std::int64_t>{14, i, 15}); }
  }
};

/// Trains a policy's adapters on the pairs. Error: a frozen tensor changed, or the loss did not fall.
template <class Policy>
radapt::Weights<radapt::Clip<Small, Policy>> train(const char* name, const Pairs& pairs, std::uint64_t steps) {
  using Model = radapt::Clip<Small, Policy>;
  using Trainer = radapt::Trainer<Recipe<Policy>, radapt::onednn>;
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, /*seed=*/1);

  radapt::TrainOptions options;
  options.size.batch = 8;
  options.schedule = {.base = 1e-2, .warmup = 5, .total = steps, .minimum = 0};
  Trainer trainer(weights, options);
  double first = 0, last = 0;
  for (std::uint64_t step = 0; step < steps; ++step) {
    last = trainer.step({.pixels = pairs.pixels, .captions = &pairs.captions}).loss;
    if (step == 0) { first = last; }
  }
  auto trained = trainer.weights();
  Index frozen = 0, changed = 0;
  radapt::each_named(
      [&](const std::string& tensor, const auto& before, const auto& after) {
        if (tensor.find(".adapter.") != std::string::npos) { return; }
        ++frozen;
        changed += std::equal(before.data, before.data + before.size(), after.data) ? 0U : 1U;
      },
      "", weights.tree(), trained.tree());
  fmt::print("{}: {} of {} parameters train, {} of {} frozen tensors changed, loss {:.3f} -> {:.3f}\n", name,
             radapt::count<Model, typename Recipe<Policy>::tune>(), radapt::count<Model>(), changed, frozen, first,
             last);
  if (changed > 0 || !(last < first)) {
    radapt::fail({.what = std::string("training the adapter ") + name,
                  .expected = "no frozen tensor changed and a smaller loss",
                  .got = "otherwise",
                  .hint = "More steps may be needed"});
  }
  return trained;
}

}  // namespace mine

int main(int argc, char** argv) try {
  std::uint64_t steps = 60;
  CLI::App app{"Trains two adapters that are written in this program, and merges the linear one", "own_adapter"};
  app.add_option("--steps", steps, "Training steps (60)")->check(CLI::Range(2, 1000000));
  if (const auto code = example::parse(app, argc, argv)) { return *code; }

  const mine::Pairs pairs;
  mine::train<mine::AfterMlp<mine::Bottleneck>>("bottleneck", pairs, steps);
  const auto adapted = mine::train<mine::AfterMlp<mine::Linear>>("linear", pairs, steps);

  // The type of `plain` has no adapters any more. (Merging the bottleneck would not compile.)
  const radapt::Weights<radapt::Clip<mine::Small>> plain = radapt::merge(/*alpha=*/1.0, adapted);
  std::vector<float> before(8 * mine::Small::embed), after(before.size());
  radapt::Session<radapt::Clip<mine::Small, mine::AfterMlp<mine::Linear>>, radapt::onednn>(adapted).encode_images(
      pairs.pixels, before);
  radapt::Session<radapt::Clip<mine::Small>, radapt::onednn>(plain).encode_images(pairs.pixels, after);
  float most = 0, largest = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    most = std::max(most, std::abs(before[i] - after[i]));
    largest = std::max(largest, std::abs(before[i]));
  }
  fmt::print("merged: max |features - features with the adapters| = {:.1e}, of features up to {:.2f}\n", most, largest);
  return most < 1e-4f * largest ? 0 : 1;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
