/// RepAdapter in front of a layer against tests/oracle: forward, every gradient, and the merged weights.
#include <utility>

#include "adapter/oracle_passes.hpp"
#include "cases/reference_kernels.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/backend/onednn/all.hpp"

using namespace radapt_test;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// The layer of the oracle's cases: two groups of an odd number of columns.
constexpr Index In = 6, Out = 5, Hidden = 6, Groups = 2;

template <class S>
void rep_adapter(OracleCase& c) {
  using T = typename S::T;
  using Layer = radapt::RepAdapterLinear<In, Out, Hidden, Groups, radapt::role::backbone, radapt::role::adapter,
                                         radapt::role::adapter_constant>;
  REQUIRE(c.count("groups") == Groups);
  radapt::Weights<Layer, T> weights;
  c.read_into(weights.tree());
  check_passes<S, Layer, radapt::Tokens<In>>(c, weights.tree());

  const double alpha = c.number("alpha");
  auto& tree = weights.tree();
  const std::vector<T> weight(tree.weight.data, tree.weight.data + Out * In),
      bias(tree.bias.data, tree.bias.data + Out);
  auto merged = std::pair{weight, bias};
  Layer::fold(alpha, tree, radapt::Matrix<T>(merged.first.data(), Out, In),
              radapt::Vector<T>(merged.second.data(), Out));
  CHECK(oracle_error(merged.first, c.read("merged_weight")) < oracle_bound<T>);
  CHECK(oracle_error(merged.second, c.read("merged_bias")) < oracle_bound<T>);
  if (alpha == 0.0) { CHECK(merged == std::pair{weight, bias}); }  // bit for bit
}

template <class S>
void walk() {
  walk_oracle("rep_adapter.json", {{"rep_adapter", 5, rep_adapter<S>}});
}

}  // namespace

TEST_CASE("RepAdapter is that of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("RepAdapter is that of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
