/// Captions that are equal run once in a step where nothing is drawn for each of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/trainer.hpp"
#include "support/allocations.hpp"
#include "support/caption_counter.hpp"
#include "support/tolerance.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt::onednn;
using radapt::Trainer;
using radapt::Weights;
using radapt_test::caption_counter;
namespace recipe = radapt::recipe;

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 2, 32};
};
constexpr Index batch = 6;
using Flyp = recipe::flyp<Tiny>;
using RAdapter = recipe::r_adapter<Tiny>;
using StarFt = recipe::star_ft<Tiny>;
using StarFtOnRAdapter = radapt::with_terms<RAdapter, radapt::loss::SpuriousAlignment>;
using AdaptFormer = recipe::adapt_former<Tiny, 4, radapt::loss::Contrastive>;

// Whether a model drops single elements is a matter of its layers.
template <class Policy>
inline constexpr bool drops = radapt::Clip<Tiny, Policy>::Text::drops_elements;
static_assert(!drops<radapt::NoAdapter> && !drops<radapt::RAdapter<>> && !drops<radapt::Lora<2>>);
static_assert(drops<radapt::AdaptFormer<4>> && drops<radapt::RepAdapter<4>>);
static_assert(drops<radapt::Recomputed<radapt::AdaptFormer<4>>>);
static_assert(drops<radapt::Recomputed<radapt::RepAdapter<4>, radapt::recompute::block>>);
static_assert(
    !radapt::Clip<Tiny, radapt::AdaptFormer<4, radapt::only_tower<radapt::role::tower::image>>>::Text::drops_elements);

/// Six pairs of three captions, and as many second captions, which are all the same.
template <class T>
struct Pairs {
  std::vector<T> pixels = std::vector<T>(batch * 3 * Tiny::image * Tiny::image);
  radapt::Captions captions{Tiny::context, Tiny::vocabulary};
  std::vector<std::int32_t> groups{0, 1, 0, 2, 2, 0};
  explicit Pairs(bool second = false) {
    radapt::Random random(5);
    for (T& x : pixels) { x = static_cast<T>(random.normal()); }
    for (const std::int32_t g : groups) { captions.add(std::vector<std::int64_t>{14, g, g + 1, 15}); }
    for (Index i = 0; second && i < batch; ++i) { captions.add(std::vector<std::int64_t>{14, 9, 15}); }
  }
  radapt::PairBatch<T> view() const { return {.pixels = pixels, .captions = &captions, .groups = groups}; }
};

radapt::TrainOptions options(Index micro_batch = 0) {
  radapt::TrainOptions o{.size = {.batch = batch, .micro_batch = micro_batch}};
  o.schedule = {.base = 1e-2, .warmup = 0, .total = 10, .minimum = 0};
  return o;
}
/// Weights whose adapters do something.
template <class R, class T>
Weights<typename R::trained, T> weights() {
  Weights<typename R::trained, T> w;
  radapt::initialise_clip(w, 3);
  radapt::Random random(4);
  for (const auto& tensor : w.tensors()) {
    if (!tensor.facts.is_adapter || tensor.size() == 1) { continue; }
    for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] = static_cast<T>(0.1 * random.normal()); }
  }
  return w;
}

struct Step {
  double loss = 0;
  std::vector<double> features, gradients;
  std::vector<Index> captions;  ///< of every pass of the text tower
};
template <class R>
Step step(const radapt::TrainOptions& o) {
  const auto w = weights<R, double>();
  Trainer<R, caption_counter<radapt::reference>, double> trainer(w, o);
  const Pairs<double> pairs(Trainer<R, caption_counter<radapt::reference>, double>::Objective::captions_per_pair > 1);
  Step out;
  out.loss = trainer.step(pairs.view()).loss;
  const auto features = trainer.objective().text_features();
  out.features.assign(features.begin(), features.end());
  const auto& g = trainer.state().gradient_buffer();
  out.gradients.assign(g.begin(), g.end());
  out.captions = trainer.context().device.captions;
  return out;
}
using Counts = std::vector<Index>;

/// One pair at a time there is nothing to share; the bounds are those of micro-batches in docs/numerics.md.
template <class R>
void gives_the_same_gradients(radapt::TrainOptions o) {
  const Step shared = step<R>(o);
  CHECK(shared.captions == Counts{3});
  o.size.micro_batch = 1;
  const Step alone = step<R>(o);
  CHECK(alone.captions == Counts(2 * batch, 1));  // features first, then each pair again
  CHECK(std::abs(shared.loss - alone.loss) < 1e-13 * std::abs(alone.loss));
  CHECK(radapt_test::normalised_error(shared.features, alone.features) < 1e-13);
  CHECK(radapt_test::normalised_error(shared.gradients, alone.gradients) < 1e-11);
  CHECK(std::any_of(alone.gradients.begin(), alone.gradients.end(), [](double g) { return g != 0.0; }));
  for (Index i = 0; i < batch; ++i) {
    const bool equal = std::memcmp(&shared.features[i * Tiny::embed], &shared.features[(i == 0 ? 2 : 0) * Tiny::embed],
                                   Tiny::embed * sizeof(double)) == 0;
    CHECK(equal == (i == 0 || i == 2 || i == 5));
  }
}

}  // namespace

TEST_CASE("a step gives equal captions one pass, and the gradients of a pass for each") {
  gives_the_same_gradients<Flyp>(options());
  auto undropped = options();
  undropped.adapter_drop = 0;
  gives_the_same_gradients<RAdapter>(undropped);
  auto of_batch = options();
  of_batch.granularity = radapt::DropGranularity::per_batch;
  of_batch.adapter_drop = 0.5;
  gives_the_same_gradients<RAdapter>(of_batch);
}
TEST_CASE("in micro-batches equal captions of a part run once") {
  const Step parts = step<Flyp>(options(3));
  CHECK(parts.captions == Counts{2, 2, 2, 2});
  const Step whole = step<Flyp>(options());
  CHECK(std::abs(parts.loss - whole.loss) < 1e-13 * std::abs(whole.loss));
  CHECK(radapt_test::normalised_error(parts.gradients, whole.gradients) < 1e-11);
}
TEST_CASE("where something is drawn for each caption all of them run") {
  CHECK(step<RAdapter>(options()).captions == Counts{batch});
  auto of_positions = options();
  of_positions.granularity = radapt::DropGranularity::per_token_position;
  CHECK(step<RAdapter>(of_positions).captions == Counts{3});
  CHECK(step<AdaptFormer>(options()).captions == Counts{batch});
  auto undropped = options();
  undropped.dropout = 0;
  CHECK(step<AdaptFormer>(undropped).captions == Counts{3});
}
TEST_CASE("teachers always run equal captions once, those of terms too") {
  CHECK(step<StarFt>(options()).captions == Counts{4, 4});                    // three and the second one
  CHECK(step<StarFtOnRAdapter>(options()).captions == Counts{4, 2 * batch});  // the student drops adapters
}
TEST_CASE("distinct captions are found in the memory that was taken") {
  radapt_test::SmallPairs pairs;
  radapt::DistinctCaptions found(radapt_test::SmallPairs::batch, pairs.captions.tokens(0, pairs.captions.size()));
  CHECK(radapt_test::Allocations::of([&] { found.find(pairs.captions); }) == 0);
  CHECK(found.size() == pairs.captions.size());
}
TEST_CASE("a step that shares captions allocates nothing") {
  using R = recipe::flyp<radapt_test::SmallArch>;
  Weights<R::trained> w;
  radapt::initialise_clip(w, 1);
  for (const Index micro_batch : {Index{8}, Index{4}}) {
    radapt::TrainOptions o{.size = {.batch = 8, .micro_batch = micro_batch}};
    Trainer<R, onednn> trainer(w, o);
    const auto allocations_of_step = [&](std::uint64_t which) {
      radapt_test::SmallPairs pairs(which), more(which + 1);
      radapt::Captions captions = radapt::Captions::of<R::trained>();
      // From all distinct to all the same, in another order every time.
      for (Index i = 0; i < 8; ++i) { captions.add(i % 2 == 0 ? pairs.captions : more.captions, i % (which % 8 + 1)); }
      pairs.captions = captions;
      return radapt_test::Allocations::of([&] { trainer.step(pairs.view()); });
    };
    for (std::uint64_t i = 0; i < 24; ++i) { allocations_of_step(i); }
    long allocations = 0;
    for (std::uint64_t i = 0; i < 24; ++i) { allocations += allocations_of_step(i); }
    CHECK(allocations == 0);
  }
}
