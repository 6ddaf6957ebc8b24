/// Transfer of adapters from one CLIP to another.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/transfer.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::RankRule;

namespace {

template <Index Layers, Index Width = 16>
struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{Width, 2, Layers, 24}, text{12, 2, 1, 20};
};
template <Index Layers, class Policy = radapt::NoAdapter>
using Weights = radapt::Weights<radapt::Clip<Tiny<Layers>, Policy>, double>;
using LowRank = radapt::RAdapter<radapt::low_rank<2>>;
using Full = radapt::RAdapter<>;

/// y + d y, element by element: a linear adapter that folds and offers nothing else.
template <Index Width>
struct Diagonal : radapt::layer_defaults {
  static constexpr auto name = "diagonal";
  template <class X>
  using output = X;
  template <template <class, class> class Slot>
  struct Params {
    Slot<radapt::Shape<Width>, radapt::role::adapter> d;  // (Width)
    static constexpr void each(auto&& f, auto&... t) { f("d", t.d...); }
  };
  template <class T>
  static void fold(double alpha, const auto& p, radapt::Matrix<T> weight, radapt::Vector<T> bias) {
    const auto scale = [&](Index i) { return static_cast<T>(1 + alpha * static_cast<double>(p.d.data[i])); };
    for (Index i = 0; i < weight.size(); ++i) { weight.data[i] *= scale(i / weight.columns); }
    for (Index i = 0; i < bias.size; ++i) { bias.data[i] *= scale(i); }
  }
};
struct DiagonalAdapter {
  template <class Site, Index D>
  using at = Diagonal<D>;
};

/// What is in front of its host depends on it: dW = W P.
using InFront = radapt::RepAdapter<4>;

namespace site = radapt::site;
using LoraEverywhere = radapt::Lora<2, radapt::on<site::in_proj, site::out_proj, site::c_fc, site::c_proj>>;
/// LoRA on everything, and an R-Adapter behind it: both fold into out_proj and c_proj, one after the other.
template <class Behind>
struct LoraUnder : LoraEverywhere {
  template <class Site, Index D>
  using at = typename Behind::template at<Site, D>;
};
template <class Policy>
inline constexpr bool has_lora = std::is_base_of_v<LoraEverywhere, Policy>;

template <class W>
W drawn(std::uint64_t seed) {
  W weights;
  radapt::Random random(seed);
  radapt::each([&](auto& leaf) { std::generate_n(leaf.data, leaf.size(), [&] { return 0.3 * random.normal(); }); },
               weights.tree());
  return weights;
}
/// `base` with every element moved a little.
template <class W>
W near(W base, std::uint64_t seed, double deviation = 0.01) {
  const W step = drawn<W>(seed);
  for (Index i = 0; i < base.buffer().size(); ++i) { base.buffer()[i] += deviation / 0.3 * step.buffer()[i]; }
  return base;
}
/// The base of a model with adapters.
template <Index Layers, class Policy>
Weights<Layers> base_of(const Weights<Layers, Policy>& adapted) {
  Weights<Layers> plain;
  radapt::copy_by_name(plain, adapted);
  return plain;
}
double error(const auto& got, const auto& expected) {
  double worst = 0;
  for (Index i = 0; i < got.buffer().size(); ++i) {
    worst = std::max(worst, std::abs(double{got.buffer()[i]} - double{expected.buffer()[i]}));
  }
  return worst;
}
bool same_bits(const auto& a, const auto& b) {
  return std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}
radapt::AdapterTransferOptions options() {
  return {.rank = RankRule::energy(0.8), .progress = {.mode = radapt::ProgressOptions::Mode::quiet}};
}
/// The tensors of weights by name.
template <class W>
auto tensors(W& weights) {
  return radapt::detail::leaves_by_name(weights.tensors());
}
radapt::detail::EigenMatrix copy_of(const radapt::Matrix<double>& m) { return radapt::detail::eigen_matrix(m); }

// Numbers near one through a decomposition that is orthogonal to 1e-15.
constexpr double exact = 1e-13;

}  // namespace

TEST_CASE_TEMPLATE("with cross terms a transfer to the own base is the merge, weights and biases", Policy, LowRank,
                   Full, DiagonalAdapter, LoraEverywhere, LoraUnder<Full>, LoraUnder<LowRank>, InFront) {
  const auto adapted = drawn<Weights<2, Policy>>(1);
  const auto base = base_of(adapted);
  auto o = options();
  o.keep_cross = true;
  for (const double alpha : {0.5, 1.0, 1.7}) {
    CAPTURE(alpha);
    const auto moved = radapt::transfer_adapters(alpha, adapted, base, o);
    CHECK(error(moved.weights, radapt::merge(alpha, adapted)) < exact);
    CHECK(error(moved.weights, base) > 0.05);
    // Two in each of two image blocks and one text block; with LoRA c_fc, too, and in_proj, which is three; in front
    // are these alone.
    CHECK(moved.modules.size() == (has_lora<Policy> ? 18 : std::is_same_v<Policy, InFront> ? 12 : 6));
  }
  o.keep_cross = false;
  const auto without = radapt::transfer_adapters(1.0, adapted, base, o);
  CHECK(error(without.weights, radapt::merge(1.0, adapted)) > 1e-3);
  CHECK(same_bits(radapt::transfer_adapters(0.0, adapted, base, o).weights, base));
}

TEST_CASE("an adapter in front of its host moves in float as well") {
  using Plain = radapt::Weights<radapt::Clip<Tiny<2>>, float>;
  using Adapted = radapt::Weights<radapt::Clip<Tiny<2>, InFront>, float>;
  const auto exact_adapted = drawn<Weights<2, InFront>>(1);
  Adapted adapted;
  adapted.copy_from(exact_adapted);
  Plain base;
  radapt::copy_by_name(base, adapted);
  auto o = options();
  o.keep_cross = true;
  const auto moved = radapt::transfer_adapters(1.0, adapted, base, o);
  // Sums in double, rounded to float once: numbers of about one.
  CHECK(error(moved.weights, radapt::merge(1.0, adapted)) < 1e-6);
}

TEST_CASE("q, k and v are weights of their own: what is done to one moves to no other") {
  using OfQueries = radapt::Lora<2, radapt::on<site::q>>;
  const auto adapted = drawn<Weights<2, OfQueries>>(1);
  const auto base = base_of(adapted), target = near(base, 2), merged = radapt::merge(1.0, adapted);
  auto o = options();
  o.keep_factors = true;
  const auto own = radapt::transfer_adapters(1.0, adapted, base, o);
  const auto other = radapt::transfer_adapters(1.0, adapted, target, o);
  const std::string name = "visual.transformer.resblocks.1.attn.in_proj_weight";
  const Index rows = 16, columns = 16;
  const auto weight = [&](const auto& weights) { return tensors(weights).at(name).data; };
  const auto distance = [&](const double* a, const double* b, Index part) {
    double worst = 0;
    for (Index i = part * rows * columns; i < (part + 1) * rows * columns; ++i) {
      worst = std::max(worst, std::abs(a[i] - b[i]));
    }
    return worst;
  };
  for (const Index part : {Index{1}, Index{2}}) {
    CHECK(distance(weight(own.weights), weight(base), part) == 0.0);
    CHECK(distance(weight(other.weights), weight(target), part) == 0.0);
  }
  CHECK(distance(weight(other.weights), weight(target), 0) > 1e-3);
  // Without cross terms q keeps the parallel and the perpendicular part in the spaces of its own rows.
  const auto q = [&](const auto& weights) {
    return radapt::detail::eigen_matrix(radapt::Matrix<const double>{weight(weights), rows, columns});
  };
  const auto spaces = radapt::leading_subspaces(radapt::Matrix<const double>{weight(base), rows, columns}, o.rank);
  const radapt::detail::EigenMatrix change = q(merged) - q(base);
  const radapt::detail::EigenMatrix expected =
      radapt::parallel_part(change, spaces) + radapt::perpendicular_part(change, spaces);
  CHECK((q(own.weights) - q(base) - expected).cwiseAbs().maxCoeff() < exact);
  CHECK(expected.cwiseAbs().maxCoeff() > 0.05);
  // The factors are those of the whole tensor.
  const radapt::detail::EigenMatrix whole = radapt::dense(own.factors.at(name));
  REQUIRE(whole.rows() == 48);
  double worst = 0;
  for (Index i = 0; i < 3 * rows * columns; ++i) {
    worst = std::max(worst, std::abs(weight(own.weights)[i] - weight(base)[i] - whole.data()[i]));
  }
  CHECK(worst < exact);
  CHECK(std::count_if(own.modules.begin(), own.modules.end(),
                      [](const auto& m) { return m.match.target.ends_with("in_proj_q") && m.update_norm > 0; }) == 3);
}

TEST_CASE("a transfer to another model adds the transferred update of each module, and touches nothing else") {
  const auto adapted = drawn<Weights<2, LowRank>>(1);
  auto source = base_of(adapted), target = near(source, 2);
  auto o = options();
  o.keep_factors = true;
  Shown shown;
  o.progress = shown.options();
  auto moved = radapt::transfer_adapters(0.5, adapted, target, o);
  CHECK(shown.text.find("transfer 100% 12/12") != std::string::npos);

  // One module by hand, with the update in full: dW = alpha s U D W.
  const std::string host = "visual.transformer.resblocks.1.mlp.c_proj";
  const auto spaces_of = [&](auto& w) {
    return radapt::leading_subspaces(tensors(w).at(host + ".weight"), RankRule::energy(0.8));
  };
  auto whole = radapt::merge(0.5, adapted);
  const radapt::detail::EigenMatrix dW =
      copy_of(tensors(whole).at(host + ".weight")) - copy_of(tensors(source).at(host + ".weight"));
  const auto expected = radapt::transfer(dW, spaces_of(source), spaces_of(target));
  const radapt::detail::EigenMatrix got =
      copy_of(tensors(moved.weights).at(host + ".weight")) - copy_of(tensors(target).at(host + ".weight"));
  CHECK(expected.norm() > 0.1);
  CHECK((got - expected).cwiseAbs().maxCoeff() < exact);

  // Factors say the same: rank 4 without cross terms.
  const auto& factors = moved.factors.at(host + ".weight");
  CHECK(factors.rank() == 4);
  CHECK((radapt::dense(factors) - expected).cwiseAbs().maxCoeff() < exact);
  CHECK(moved.factors.size() == 6);

  auto after = tensors(moved.weights), before = tensors(target);
  Index changed = 0;
  for (const auto& entry : after) {
    const std::string& name = entry.first;
    const auto& leaf = entry.second;
    const bool is_host = name.find("out_proj") != std::string::npos || name.find("c_proj") != std::string::npos;
    const bool same = std::equal(leaf.data, leaf.data + leaf.size(), before.at(name).data);
    CAPTURE(name);
    CHECK(same != is_host);
    changed += same ? 0 : 1;
  }
  CHECK(changed == 12);
  for (const auto& module : moved.modules) {
    CHECK(module.match.accepted);
    CHECK(module.match.left > 0.95);  // the target is near
    CHECK(module.energy.retained() > 0.2);
    CHECK(module.energy.retained() < 1);
    CHECK(std::abs(module.energy.retained() + module.energy.cross - 1) < exact);
  }
  const std::string table = radapt::describe(moved.modules);
  CHECK(std::count(table.begin(), table.end(), '\n') == 8);
  CHECK(table.find("visual.transformer.resblocks.0.attn.out_proj") != std::string::npos);
  CHECK(table.find("% of the energy is parallel or perpendicular") != std::string::npos);

  o.progress = quiet();
  o.update_rank = 2;
  auto cut = radapt::transfer_adapters(0.5, adapted, target, o);
  CHECK(cut.factors.at(host + ".weight").rank() == 2);
  const radapt::detail::EigenMatrix of_cut =
      copy_of(tensors(cut.weights).at(host + ".weight")) - copy_of(tensors(target).at(host + ".weight"));
  CHECK((of_cut - radapt::dense(radapt::recompress(expected, 2))).cwiseAbs().maxCoeff() < exact);
}

TEST_CASE("full adapters have factors too, of the rank that is asked for") {
  const auto adapted = drawn<Weights<2, Full>>(1);
  auto target = near(base_of(adapted), 2);
  auto o = options();
  o.keep_factors = true;
  auto moved = radapt::transfer_adapters(0.7, adapted, target, o);
  for (const auto& entry : moved.factors) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const radapt::detail::EigenMatrix added =
        copy_of(tensors(moved.weights).at(name)) - copy_of(tensors(target).at(name));
    CHECK((radapt::dense(entry.second) - added).cwiseAbs().maxCoeff() < exact);
  }
}

TEST_CASE("modules are paired by similarity where the layers differ, and only alike ones are used") {
  // Target block 0 is near source block 1, target block 2 near source block 0, and target block 1 like neither.
  const auto adapted = drawn<Weights<2, LowRank>>(1);
  auto source = base_of(adapted);
  auto target = drawn<Weights<3>>(9);
  radapt::Random random(5);
  const auto copy_near = [&](const std::string& from, const std::string& to) {
    for (const std::string part : {".attn.out_proj.weight", ".mlp.c_proj.weight"}) {
      const auto a = tensors(source).at(from + part), b = tensors(target).at(to + part);
      for (Index i = 0; i < a.size(); ++i) { b.data[i] = a.data[i] + 0.005 * random.normal(); }
    }
  };
  copy_near("visual.transformer.resblocks.1", "visual.transformer.resblocks.0");
  copy_near("visual.transformer.resblocks.0", "visual.transformer.resblocks.2");
  copy_near("transformer.resblocks.0", "transformer.resblocks.0");
  auto o = options();
  o.match_by_similarity = true;
  auto moved = radapt::transfer_adapters(0.5, adapted, target, o);
  REQUIRE(moved.modules.size() == 8);
  Index accepted = 0;
  for (const auto& module : moved.modules) {
    CAPTURE(module.match.target);
    const std::string& name = module.match.target;
    const bool text = !name.starts_with("visual");
    const std::string block = name.substr(name.find("resblocks.") + 10, 1);
    const std::string expected = text || block == "2" ? "0" : "1";
    if (block == "1") {
      CHECK_FALSE(module.match.accepted);
      CHECK(module.update_norm == 0);
    } else {
      CHECK(module.match.accepted);
      CHECK(module.match.source.substr(module.match.source.find("resblocks.") + 10, 1) == expected);
      CHECK(module.match.source.starts_with("visual") == !text);
      ++accepted;
    }
    const auto after = tensors(moved.weights).at(name + ".weight"), before = tensors(target).at(name + ".weight");
    CHECK(std::equal(after.data, after.data + after.size(), before.data) == (block == "1"));
  }
  CHECK(accepted == 6);
  o.match_by_similarity = false;  // by name the third block gets nothing
  CHECK(radapt::transfer_adapters(0.5, adapted, target, o).modules.size() == 6);
}

TEST_CASE("bad input of a transfer between models is told apart") {
  const auto adapted = drawn<Weights<2, LowRank>>(1);
  const auto target = base_of(adapted);
  CHECK(fails_with("alpha", [&] { radapt::transfer_adapters(std::nan(""), adapted, target, options()); }));
  auto no_rule = options();
  no_rule.rank = {};
  CHECK(fails_with("share of the energy", [&] { radapt::transfer_adapters(0.5, adapted, target, no_rule); }));
  const radapt::Weights<radapt::Clip<Tiny<1>>, double> shallow;
  CHECK(fails_with("match_by_similarity", [&] { radapt::transfer_adapters(0.5, adapted, shallow, options()); }));
  const radapt::Weights<radapt::Clip<Tiny<2, 18>>, double> wide;
  CHECK(fails_with("(16, 16)", [&] { radapt::transfer_adapters(0.5, adapted, wide, options()); }));
}
