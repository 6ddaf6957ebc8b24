/// A linear layer and the adapter behind it as one layer: what it computes is what the two compute one behind the
/// other, folded and in place; what it keeps and takes is what is planned; and a block has it where both are there.
#include "radapt/adapter/adapted_linear.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "plan/counting_backend.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/test/gradient_check.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt;
using radapt_test::normalised_error;

namespace {

template <Index In, Index Width, class Scale = learned_scale>
struct Pair {
  using Front = Named<"out_proj", Linear<In, Width>>;
  using Behind = Named<"adapter", FullAdapter<Width, role::adapter, Scale>>;
  using joined = AdaptedLinear<Front, Behind>;
  using chained = Sequential<Front, Behind>;
  using In_row = Tokens<In>;
  using Out_row = Tokens<Width>;
};
using Square = Pair<8, 8>;
using Wide = Pair<12, 8>;
using Unscaled = Pair<8, 8, no_scale>;

using OnlyAdapter = tune::only<role::adapter>;

// One row in five is dropped by default: 960 rows leave 768, which is as much work either way.
static_assert(!Pair<768, 768>::joined::folds<float>(960) && Pair<768, 768>::joined::folds<float>(961));
static_assert(!Square::joined::folds<double>(10) && Square::joined::folds<double>(11));
static_assert(!Pair<768, 768>::joined::folds<bf16>(961));

/// Ten rows, which are computed in place, or 23, which are folded.
struct Rows {
  std::vector<Index> offsets;
  Sequences view() const { return {.count = offsets.size() - 1, .offsets = offsets.data()}; }
};
const Rows few{{0, 4, 5, 10}}, many{{0, 7, 8, 17, 23}};

// Entries for up to four sequences, one batch, or nine positions.
constexpr std::uint8_t all_entries[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, no_entries[] = {0, 0, 0, 0, 0, 0, 0, 0, 0},
                       some_entries[] = {1, 0, 1, 1, 0, 1, 0, 0, 1};

struct PhaseCase {
  std::string title;
  Phase phase;
};
/// Without dropping, in evaluation, and all, no and some rows kept in every granularity.
std::vector<PhaseCase> phases() {
  static const std::uint8_t* const masks[][1] = {{all_entries}, {no_entries}, {some_entries}};
  std::vector<PhaseCase> all{{"training without dropping", {.training = true}},
                             {"evaluation at alpha 0.4", {.adapter_alpha = 0.4}}};
  for (int g = 0; g < 3; ++g) {
    for (int m = 0; m < 3; ++m) {
      all.push_back({"granularity " + std::to_string(g) + ", mask " + std::to_string(m),
                     {.training = true,
                      .adapter_drop = 0.3,
                      .granularity = static_cast<DropGranularity>(g),
                      .given_masks = masks[m]}});
    }
  }
  return all;
}

template <class T>
std::vector<T> random_values(Index n, std::uint64_t seed) {
  Random random(seed);
  std::vector<T> values(n);
  for (T& x : values) { x = static_cast<T>(random.normal()); }
  return values;
}

/// Everything that a step of a layer gives. Gradients of parameters are added to the same noise.
template <class T>
struct Step {
  std::vector<T> inference, y, dx, gradients;
};

template <class S, class L, class P, class Tune, bool Dx>
Step<typename S::T> step(const Sequences& sequences, const Phase& phase) {
  using T = typename S::T;
  using In = typename P::In_row;
  using Out = typename P::Out_row;
  using LayerPlan = Plan<L, In, T, Tune, Dx>;
  const Extent e = sequences.extent();
  Weights<L, T> weights;
  Random random(3);
  for (T& w : weights.buffer()) { w = static_cast<T>(0.5 * random.normal()); }  // padding between tensors, too
  const std::vector<T> x = random_values<T>(e.tokens * In::width, 4), dy = random_values<T>(e.tokens * Out::width, 5);
  const View<const T, In> input{x.data(), e.tokens};

  Step<T> result{std::vector<T>(dy.size()), std::vector<T>(dy.size()), std::vector<T>(Dx ? x.size() : 0), {}};
  {
    Context<typename S::backend> c;
    c.sequences = sequences;
    c.phase = phase;
    c.arena.reserve(0, Plan<L, In, T, tune::nothing, false>::forward_scratch(e));
    Unsaved none;
    L::template forward<T, In>(c, weights.tree(), input, View<T, Out>{result.inference.data(), e.tokens}, none);
  }
  Context<typename S::backend> c;
  c.sequences = sequences;
  c.phase = phase;
  c.arena.reserve(LayerPlan::kept(e), std::max(LayerPlan::forward_scratch(e), LayerPlan::backward_scratch(e)));
  typename LayerPlan::Saved saved;
  const auto& p = weights.tree();
  L::template forward<T, In>(c, p, input, View<T, Out>{result.y.data(), e.tokens}, saved);
  CHECK(c.arena.kept_peak() == LayerPlan::kept(e));
  CHECK(c.phase.next_site == phase.next_site + 1);
  Gradients<L, Tune, T> g;
  result.gradients = random_values<T>(bind<T>(g, nullptr), 6);
  bind(g, result.gradients.data());
  const auto run_backward = [&](auto x_or_nothing, auto dx) {
    L::template backward<T, In>(c, p, g, x_or_nothing, Dropped{}, saved, View<const T, Out>{dy.data(), e.tokens}, dx);
  };
  const auto with_dx = [&](auto x_or_nothing) {
    if constexpr (Dx) {
      run_backward(x_or_nothing, View<T, In>{result.dx.data(), e.tokens});
    } else {
      run_backward(x_or_nothing, Discard{});
    }
  };
  if constexpr (LayerPlan::reads_x) {
    with_dx(input);
  } else {
    with_dx(Dropped{});
  }
  return result;
}

using InDouble = radapt_test::Setting<reference, double>;
using InFloat = radapt_test::Setting<onednn, float>;

/// The layers, what is trained of them, and whether the input's gradient is wanted.
template <class S, class P, class Tune, bool Dx>
struct Kind {
  using setting = S;
  using pair = P;
  using tune = Tune;
  static constexpr bool dx = Dx;
};
template <class S>
using KindsOf = std::tuple<Kind<S, Square, OnlyAdapter, true>, Kind<S, Square, OnlyAdapter, false>,
                           Kind<S, Square, tune::nothing, true>, Kind<S, Wide, OnlyAdapter, true>,
                           Kind<S, Unscaled, OnlyAdapter, true>, Kind<S, Unscaled, OnlyAdapter, false>,
                           Kind<S, Square, tune::everything, true>>;
using EveryKind = decltype(std::tuple_cat(KindsOf<InDouble>{}, KindsOf<InFloat>{}));

/// Both sides are sums of up to some two hundred products of numbers around one, in another order. Seen: 2e-15, 1e-6.
template <class T>
constexpr double bound = sizeof(T) == 8 ? 1e-12 : 5e-6;

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("an adapted linear layer is the linear layer and the adapter behind it", K, is_the_two) {
  using S = typename K::setting;
  using P = typename K::pair;
  using T = typename S::T;
  for (const Rows* rows : {&few, &many}) {
    for (const PhaseCase& one : phases()) {
      INFO(one.title << ", " << rows->view().rows() << " rows");
      const auto expected = step<S, typename P::chained, P, typename K::tune, K::dx>(rows->view(), one.phase);
      const auto got = step<S, typename P::joined, P, typename K::tune, K::dx>(rows->view(), one.phase);
      CHECK(normalised_error(got.inference, expected.inference) < bound<T>);
      CHECK(normalised_error(got.y, expected.y) < bound<T>);
      CHECK(normalised_error(got.dx, expected.dx) < bound<T>);
      CHECK(normalised_error(got.gradients, expected.gradients) < bound<T>);
      // One rule for both passes: not a bit depends on whether backward will follow. A trained weight is not folded.
      if (!std::is_same_v<typename K::tune, tune::everything>) { CHECK(got.y == got.inference); }
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(is_the_two, EveryKind);

TEST_CASE("gradients, plans and buffers of an adapted linear layer, folded and in place") {
  // 15 and 11 rows: more than 5/4 of a width of 5, and no more than that of a width of 12.
  for (const PhaseCase& one : phases()) {
    INFO(one.title);
    const test::CheckOptions options{.phase = one.phase};
    const auto passes = [&]<class P>() {
      const test::Report report =
          test::check_layer<typename P::joined, typename P::In_row, OnlyAdapter, tune::only<role::backbone>>(options);
      CHECK_MESSAGE(report.ok(), report.text());
    };
    passes.template operator()<Pair<5, 5>>();
    passes.template operator()<Pair<7, 12>>();
    passes.template operator()<Pair<5, 5, no_scale>>();
    passes.template operator()<Pair<7, 12, no_scale>>();
  }
}

namespace {

// Frozen, it keeps the mask and its input, and not what the linear layer puts out.
template <class Tune, bool Dx>
using SquarePlan = Plan<Square::joined, Tokens<8>, float, Tune, Dx>;
constexpr Extent batch{1000, 10};
static_assert(SquarePlan<OnlyAdapter, true>::kept(batch) == bytes_of<std::uint8_t, Tokens<1>>(batch));
static_assert(SquarePlan<OnlyAdapter, true>::reads_x && !SquarePlan<OnlyAdapter, true>::reads_y);
static_assert(!SquarePlan<tune::nothing, true>::reads_x);  // the gradient passes through, and nothing is read back
static_assert(SquarePlan<tune::everything, true>::kept(batch) ==
              Plan<Square::chained, Tokens<8>, float, tune::everything, true>::kept(batch));

/// How often each operation runs in forward or backward of so many rows, some of them dropped.
std::pair<radapt_test::counting, radapt_test::counting> launched(const Rows& rows) {
  using L = Square::joined;
  using X = Tokens<8>;
  using LayerPlan = SquarePlan<OnlyAdapter, true>;
  const Extent e = rows.view().extent();
  const Weights<L> weights;
  const std::vector<float> x(e.tokens * 8);
  std::vector<float> y(x.size());
  const View<const float, X> input{x.data(), e.tokens};
  const View<float, X> output{y.data(), e.tokens};
  Context<radapt_test::counting> c, back;
  c.sequences = back.sequences = rows.view();
  c.phase = {.training = true, .adapter_drop = 0.3};
  c.arena.reserve(LayerPlan::kept(e), LayerPlan::forward_scratch(e));
  back.arena.reserve(0, LayerPlan::backward_scratch(e));
  typename LayerPlan::Saved saved;
  L::template forward<float, X>(c, weights.tree(), input, output, saved);
  back.phase = c.phase;
  Gradients<L, OnlyAdapter, float> g;
  std::vector<float> dw(bind<float>(g, nullptr));
  bind(g, dw.data());
  L::template backward<float, X>(back, weights.tree(), g, input, Dropped{}, saved, input, output);
  return {c.device, back.device};
}

template <class L>
std::vector<std::string> tensor_names() {
  std::vector<std::string> names;
  const Descriptions<L> tree{};
  each_named([&](const std::string& name, const auto&) { names.push_back(name); }, "", tree);
  return names;
}

template <class Policy>
using BlockKind = detail::BlockKind<Policy, role::tower::image, false>;
template <class Policy>
using Branch = AttentionBranch<16, 2, false, BlockKind<Policy>>;
template <class Policy>
using OneBehindTheOther = chain<
    Named<"attn", Sequential<Named<"out_proj", typename BlockKind<Policy>::template linear<site::out_proj, 16, 16>>>>,
    Named<"attn.adapter", typename Policy::template at<site::Site<site::after_attention, role::tower::image>, 16>>>;
/// Whether out_proj and the adapter are layers one behind the other.
template <class Policy>
constexpr bool one_behind_the_other =
    std::is_base_of_v<OneBehindTheOther<Policy>, BehindAttention<16, BlockKind<Policy>>>;

// A block of full adapters has it, and no other block.
static_assert(!one_behind_the_other<RAdapter<>> && !one_behind_the_other<RAdapter<full, no_scale>>);
static_assert(one_behind_the_other<NoAdapter> && one_behind_the_other<RAdapter<low_rank<2>>>);
static_assert(one_behind_the_other<Lora<2>> && one_behind_the_other<Lora<2, on<site::out_proj>>>);
static_assert(one_behind_the_other<RAdapter<full, learned_scale, only_tower<role::tower::text>>>);

/// A LoRA in the place of out_proj and a full adapter behind it: there is no Linear to fold into.
struct LoraAndFull {
  template <class Site, Index D>
  using at = typename RAdapter<>::template at<Site, D>;
  template <class Site, class L>
  using wrap = typename Lora<2, on<site::out_proj>>::template wrap<Site, L>;
};
static_assert(one_behind_the_other<LoraAndFull>);

}  // namespace

TEST_CASE("many rows are folded, and few are not") {
  const auto [folded, folded_back] = launched(many);
  CHECK(folded.count("linear_backward_input") == 1);  // F W
  CHECK(folded.count("linear_forward") == 3);         // F b, kept rows, dropped rows
  CHECK(folded_back.count("linear_backward_input") == 3);
  CHECK(folded_back.count("linear_backward_weight") == 2);  // M, and m b^T
  CHECK(folded_back.count("linear_forward") == 1);          // M W^T
  const auto [in_place, in_place_back] = launched(few);
  CHECK(in_place.count("linear_backward_input") == 0);
  CHECK(in_place.count("linear_forward") == 2);
  CHECK(in_place_back.count("linear_backward_input") == 2);
  CHECK(in_place_back.count("linear_backward_weight") == 1);
  CHECK(in_place_back.count("linear_forward") == 1);  // y again
}

TEST_CASE("tensors of an attention branch keep their names and their order") {
  CHECK(tensor_names<BehindAttention<16, BlockKind<RAdapter<>>>>() == tensor_names<OneBehindTheOther<RAdapter<>>>());
  CHECK(tensor_names<Branch<RAdapter<>>>() ==
        std::vector<std::string>{"ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias",
                                 "attn.out_proj.weight", "attn.out_proj.bias", "attn.adapter.s", "attn.adapter.F"});
  using Block = Sequential<Named<"resblocks.0", Branch<RAdapter<>>>>;
  const Weights<Block> weights;
  const auto layers = foldable_layers<Block, float>(weights.tree());
  REQUIRE(layers.size() == 1);
  CHECK(layers[0].path == "resblocks.0.attn.adapter");
  CHECK(layers[0].weight_name() == "resblocks.0.attn.out_proj.weight");
}
