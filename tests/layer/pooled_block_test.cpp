/// The last block of a tower, which has queries for pooled rows alone and runs on them, against a block of all rows and
/// a Pool behind it: the same numbers forward and backward, the same draws, less memory.
#include <algorithm>
#include <vector>

#include "layer/check.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/clip/block.hpp"
#include "radapt/layer/activation.hpp"
#include "support/tolerance.hpp"

using namespace radapt;
using radapt_test::passes;

namespace {

constexpr Index width = 6, heads = 2, hidden = 8;
using Row = Tokens<width>;
using OnlyAdapter = tune::only<role::adapter>;

template <class Policy>
using Kind = radapt::detail::BlockKind<Policy, role::tower::text, false>;
template <class Policy, Pooling Pooled, bool Causal>
using OnPooledRows = PooledAttentionBlock<width, heads, hidden, Activation::quick_gelu, Causal, Kind<Policy>, Pooled>;
template <class Policy, Pooling Pooled, bool Causal>
using OnAllRows =
    Sequential<Named<"", ResidualAttentionBlock<width, heads, hidden, Activation::quick_gelu, Causal, Kind<Policy>>>,
               Pool<Pooled>>;

/// What a step puts out, and the gradients of the input and of the parameters.
struct Step {
  std::vector<double> y, dx, dw;
};

double value(Index i) { return 0.05 * static_cast<double>((i * 37 + 11) % 41) - 1; }

template <class L, class Tune>
Step step(const Sequences& sequences, const Phase& phase) {
  using TrainingPlan = Plan<L, Row, double, Tune, true>;
  const Extent e = sequences.extent();
  Weights<L, double> weights;
  std::vector<double> x(e.tokens * width), dy(e.sequences * width);
  for (Index i = 0; i < weights.buffer().size(); ++i) { weights.buffer()[i] = 0.4 * value(i); }
  for (Index i = 0; i < x.size(); ++i) { x[i] = value(i + 5); }
  for (Index i = 0; i < dy.size(); ++i) { dy[i] = value(i + 3); }
  Gradients<L, Tune, double> g;
  Step s{std::vector<double>(dy.size()), std::vector<double>(x.size()), std::vector<double>(bind<double>(g, nullptr))};
  bind(g, s.dw.data());

  Context<reference> c;
  c.sequences = sequences;
  c.phase = phase;
  c.arena.reserve(TrainingPlan::kept(e) + TrainingPlan::backward_kept(e),
                  std::max(TrainingPlan::forward_scratch(e), TrainingPlan::backward_scratch(e)));
  typename TrainingPlan::Saved saved;
  const View<const double, Row> in{x.data(), e.tokens};
  L::template forward<double, Row>(c, weights.tree(), in, View<double, Samples<width>>{s.y.data(), e.sequences}, saved);
  L::template backward<double, Row>(c, weights.tree(), g, in, Dropped{}, saved,
                                    View<const double, Samples<width>>{dy.data(), e.sequences},
                                    View<double, Row>{s.dx.data(), e.tokens});
  CHECK(c.pooled_from == nullptr);
  CHECK(c.sequences.rows() == sequences.rows());
  return s;
}

/// Sums of other lengths round differently; nothing else may.
constexpr double rounding = 1e-13;

template <class Policy, class Tune, Pooling Pooled, bool Causal>
void same_numbers(const Sequences& sequences, const Phase& phase) {
  const Step pooled = step<OnPooledRows<Policy, Pooled, Causal>, Tune>(sequences, phase),
             all = step<OnAllRows<Policy, Pooled, Causal>, Tune>(sequences, phase);
  CHECK(radapt_test::normalised_error(pooled.y, all.y) < rounding);
  CHECK(radapt_test::normalised_error(pooled.dx, all.dx) < rounding);
  CHECK(radapt_test::normalised_error(pooled.dw, all.dw) < rounding);
}

const std::vector<Index> offsets{0, 4, 5, 12, 14, 17};
const std::vector<Index> chosen{2, 0, 6, 0, 1};
const std::vector<std::uint8_t> keep{1, 0, 1, 1, 0, 0, 1};
const std::vector<const std::uint8_t*> masks(4, keep.data());

/// All ways in which sequences form a batch, and adapters are dropped.
template <class Policy, class Tune>
void same_numbers() {
  for (const DropGranularity granularity :
       {DropGranularity::per_sample, DropGranularity::per_batch, DropGranularity::per_token_position}) {
    CAPTURE(static_cast<int>(granularity));
    for (const std::uint32_t site : {0U, 7U}) {
      Phase phase{.training = true, .adapter_drop = 0.4, .granularity = granularity, .seed = 3, .step = 1};
      phase.next_site = site;
      phase.first_sequence = 2;
      same_numbers<Policy, Tune, Pooling::first, false>({.count = 3, .uniform_length = 7}, phase);
      same_numbers<Policy, Tune, Pooling::last, true>({.count = 5, .offsets = offsets.data()}, phase);
      same_numbers<Policy, Tune, Pooling::last, true>({.count = 5, .offsets = offsets.data(), .pooled = chosen.data()},
                                                      phase);
    }
    Phase given{.training = true, .adapter_drop = 0.4, .granularity = granularity, .given_masks = masks.data()};
    same_numbers<Policy, Tune, Pooling::last, true>({.count = 5, .offsets = offsets.data()}, given);
  }
  same_numbers<Policy, Tune, Pooling::first, false>({.count = 3, .uniform_length = 1}, {});
}

}  // namespace

TEST_CASE("a block on pooled rows gives what a block of all rows gives, pooled") {
  same_numbers<NoAdapter, tune::everything>();
  same_numbers<RAdapter<>, tune::everything>();
  same_numbers<RAdapter<>, OnlyAdapter>();
  same_numbers<RAdapter<low_rank<2>>, OnlyAdapter>();
  same_numbers<Lora<2, on<site::q, site::v, site::out_proj, site::c_fc>>, OnlyAdapter>();
  same_numbers<AdaptFormer<3>, OnlyAdapter>();
  same_numbers<RepAdapter<2>, OnlyAdapter>();
}

TEST_CASE("a block on pooled rows passes the gradient checker") {
  const Phase dropping{.training = true, .adapter_drop = 0.3, .seed = 5, .step = 2};
  passes<OnPooledRows<NoAdapter, Pooling::first, false>, Row, tune::only<role::norm>>();
  passes<OnPooledRows<RAdapter<>, Pooling::last, true>, Row, OnlyAdapter>({.phase = dropping});
  passes<OnPooledRows<RAdapter<>, Pooling::last, true>, Row, OnlyAdapter>({.pooled = {1, 0, 3}, .phase = dropping});
}

TEST_CASE("attention of pooled rows passes the gradient checker, whatever of in_proj is trained") {
  using Trained = tune::only<role::head>;
  passes<PooledAttention<width, heads, false, Pooling::first, role::head>, Row, Trained>();
  passes<PooledAttention<width, heads, true, Pooling::last, role::head>, Row, Trained>({.pooled = {1, 0, 3}});
  passes<PooledAttention<width, 1, true, Pooling::last>, Row, tune::only<role::norm>>();
}

TEST_CASE("layers on pooled rows pool by themselves, or take what was pooled before") {
  using Head = tune::only<role::head>;
  using Pair =
      Sequential<Named<"up", Linear<6, 5, role::head>>, Activate<Activation::gelu>, Named<"down", Linear<5, 4>>>;
  passes<OnPooled<Pooling::first, Pair>, Row, Head>();
  passes<OnPooled<Pooling::last, Pair>, Row, Head, tune::only<role::backbone>>({.pooled = {3, 0, 2}});
  passes<OnPooled<Pooling::last, Pair>, Samples<width>, Head, tune::only<role::backbone>>();
  passes<OnPooled<Pooling::last, Linear<6, 4, role::head>>, Row, Head, tune::only<role::norm>>();
  passes<Sequential<Named<"ln", LayerNorm<6>>, Named<"", OnPooled<Pooling::last, Pair>>>, Row,
         tune::only<role::norm>>();
  // What the body does not read is not kept: the gelu of a frozen pair reads 5 numbers.
  using P = Plan<OnPooled<Pooling::last, Pair>, Row, float, tune::only<role::norm>, true>;
  CHECK(!P::reads_x);
  CHECK(P::kept({17, 5}) == bytes_of<float, Samples<5>>({17, 5}));
}

TEST_CASE("a block on pooled rows may be computed again") {
  const Phase dropping{.training = true, .adapter_drop = 0.3, .seed = 5, .step = 2};
  passes<Recompute<OnPooledRows<RAdapter<>, Pooling::last, true>>, Row, OnlyAdapter>({.phase = dropping});
}

TEST_CASE("a block on pooled rows keeps of all tokens what attention reads, and of the others nothing") {
  using Pooled = Plan<OnPooledRows<RAdapter<>, Pooling::first, false>, Row, float, OnlyAdapter, true>;
  using All = Plan<OnAllRows<RAdapter<>, Pooling::first, false>, Row, float, OnlyAdapter, true>;
  constexpr Extent few{4 * 64, 4};
  // what attention reads, a probability for each head, and two statistics of ln_1
  constexpr Index of_tokens =
      bytes_of<float, Tokens<width>>(few) + bytes_of<float, Tokens<heads>>(few) + 2 * bytes_of<float, Tokens<1>>(few);
  // queries, what out_proj, ln_2, the activation and the adapter read, two statistics and two masks
  constexpr Index of_sequences = 4 * bytes_of<float, Samples<width>>(few) + bytes_of<float, Samples<hidden>>(few) +
                                 2 * bytes_of<float, Samples<1>>(few) + 2 * bytes_of<std::uint8_t, Samples<1>>(few);
  CHECK(Pooled::kept(few) == of_tokens + of_sequences);
  CHECK(Pooled::kept(few) < 0.25 * All::kept(few));
}

TEST_CASE("whatever a layer on pooled rows throws, the context has its sequences back") {
  using L = OnPooled<Pooling::first, FullAdapter<width>>;
  const Weights<L, double> weights;
  std::vector<double> x(2 * width), y(2 * width);
  Context<reference> c;  // of no memory: the adapter's mask does not fit
  c.sequences = {.count = 2, .uniform_length = 3};
  c.phase = {.training = true, .adapter_drop = 0.5};
  Unsaved none;
  CHECK_THROWS_AS(
      (L::forward<double, Samples<width>>(c, weights.tree(), View<const double, Samples<width>>{x.data(), 2},
                                          View<double, Samples<width>>{y.data(), 2}, none)),
      radapt::error);
  CHECK(c.sequences.uniform_length == 3);
  CHECK(c.pooled_from == nullptr);
}
