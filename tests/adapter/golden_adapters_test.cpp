/// Adapters of the golden table: forward, backward under masks of every granularity, and folding.
#include <cstdint>
#include <utility>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/core/weights.hpp"
#include "support/golden_tables.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
using Site = radapt::site::Site<radapt::site::after_mlp, radapt::role::tower::image>;

/// The layer that the policy puts at a site of that width; Rank 0 is full.
template <Index W, Index Rank>
struct Sized {
  using layer = typename radapt::RAdapter<radapt::low_rank<Rank>>::template at<Site, W>;
  static bool is_of(const TableCase& c) {
    return Rank == 0 ? c.has("F") && c.extent("F", 0) == W
                     : c.has("D") && c.extent("D", 0) == Rank && c.extent("D", 1) == W;
  }
};

/// Calls f<layer>() for the one of `Sizes` that the case is of; a size that nobody wrote down fails.
template <class... Sizes>
struct OneOf {
  static void call(const TableCase& c, auto&& f) {
    const int found = (0 + ... + (Sizes::is_of(c) ? (f.template operator()<typename Sizes::layer>(), 1) : 0));
    CHECK_MESSAGE(found == 1, "the layer of this case's size is not in the list of this test");
  }
};
using AdapterSizes = OneOf<Sized<8, 0>, Sized<6, 0>, Sized<4, 0>, Sized<8, 2>, Sized<6, 3>, Sized<5, 1>>;
using MergeSizes = OneOf<Sized<6, 0>, Sized<5, 0>, Sized<8, 2>, Sized<8, 3>, Sized<5, 2>>;

/// s and F, or s, U and D.
template <class Layer, class T>
radapt::Weights<Layer, T> read_adapter(TableCase& c) {
  radapt::Weights<Layer, T> weights;
  radapt::each_named(
      [&](const std::string& name, auto& leaf) {
        const auto values = c.read<T>(name);
        REQUIRE(values.size() == leaf.size());
        std::copy(values.begin(), values.end(), leaf.data);
      },
      "", weights.tree());
  return weights;
}

template <class S, class Layer>
void check_adapter(TableCase& c) {
  using T = typename S::T;
  using Tune = radapt::tune::everything;
  using X = radapt::Tokens<Layer::input_width>;
  using Plan = radapt::Plan<Layer, X, T, Tune, true>;
  constexpr double bound = bounds<T>::tables;
  const auto weights = read_adapter<Layer, T>(c);
  const auto y = c.read<T>("y"), dh = c.read<T>("upstream_gradient");
  const auto keep = c.read<std::uint8_t>("keep");
  const Index count = c.extent("y", 0), length = c.extent("y", 1), rows = count * length;

  radapt::Context<typename S::backend> context;
  context.sequences = {.count = count, .uniform_length = length};
  context.phase.training = true;
  context.phase.adapter_drop = c.scalar<double>("drop_probability");
  context.phase.granularity = c.extent("keep", 0) > 1   ? radapt::DropGranularity::per_sample
                              : c.extent("keep", 1) > 1 ? radapt::DropGranularity::per_token_position
                                                        : radapt::DropGranularity::per_batch;
  const std::uint8_t* const sites[] = {keep.data()};
  context.phase.given_masks = sites;
  // Masks are not looked at when nothing is dropped; the table may not ask for that.
  if (context.phase.adapter_drop == 0.0) { REQUIRE(std::count(keep.begin(), keep.end(), 0) == 0); }
  const radapt::Extent extent = context.sequences.extent();
  context.arena.reserve(Plan::kept(extent), std::max(Plan::forward_scratch(extent), Plan::backward_scratch(extent)));

  std::vector<T> h(y.size()), dy(y.size());
  radapt::Gradients<Layer, Tune, T> gradients;
  radapt::Buffer<T> gradient_buffer(radapt::bind<T>(gradients, nullptr));
  radapt::bind(gradients, gradient_buffer.data());
  typename Plan::Saved saved;
  const radapt::View<const T, X> x{y.data(), rows};
  Layer::template forward<T, X>(context, weights.tree(), x, radapt::View<T, X>{h.data(), rows}, saved);
  Layer::template backward<T, X>(context, weights.tree(), gradients, x, radapt::Dropped{}, saved,
                                 radapt::View<const T, X>{dh.data(), rows}, radapt::View<T, X>{dy.data(), rows});

  CHECK(table_error(h, c.read<double>("h")) < bound);
  CHECK(table_error(dy, c.read<double>("grad.y")) < bound);
  radapt::each_named(
      [&](const std::string& name, const auto& leaf) {
        CAPTURE(name);
        const std::vector<T> got(leaf.data, leaf.data + leaf.size());
        CHECK(table_error(got, c.read<double>("grad." + name)) < bound);
      },
      "", gradients);
}

template <class T, class Layer>
void check_merge(TableCase& c) {
  constexpr double bound = bounds<T>::tables;
  const auto adapter = read_adapter<Layer, T>(c);
  const double alpha = c.scalar<double>("alpha");
  auto weight = c.read<T>("weight");
  auto bias = c.has("bias") ? c.read<T>("bias") : std::vector<T>{};
  const auto original = std::pair{weight, bias};
  Layer::fold(alpha, adapter.tree(), radapt::Matrix<T>(weight.data(), c.extent("weight", 0), c.extent("weight", 1)),
              radapt::Vector<T>(bias.data(), bias.size()));
  CHECK(table_error(weight, c.read<double>("merged_weight")) < bound);
  if (c.has("bias")) { CHECK(table_error(bias, c.read<double>("merged_bias")) < bound); }
  if (alpha == 0.0) { CHECK(std::pair{weight, bias} == original); }  // bit for bit
}

template <class S>
void adapter(TableCase& c) {
  AdapterSizes::call(c, [&]<class Layer>() { check_adapter<S, Layer>(c); });
}
template <class S>
void merge(TableCase& c) {
  MergeSizes::call(c, [&]<class Layer>() { check_merge<typename S::T, Layer>(c); });
}

}  // namespace

TEST_CASE_TEMPLATE("adapters of the golden table", S, InDouble, InFloat) {
  walk_tables("adapter/golden_adapters_test.cpp", {{"adapter", adapter<S>}, {"merge", merge<S>}});
}
