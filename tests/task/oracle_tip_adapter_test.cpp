/// Tip-Adapter and Tip-Adapter-F against tests/oracle: keys, logits, a gradient, and keys that are trained.
#include <vector>

#include "cases/reference_kernels.hpp"
#include "oracle/cases.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/task/tip_adapter.hpp"
#include "support/settings.hpp"

using namespace radapt_test;
using radapt::Index;
namespace task = radapt::task;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

template <class S>
struct Cache {
  using T = typename S::T;
  task::TipAdapter<typename S::backend, T> tip;
  explicit Cache(OracleCase& c)
      : tip(c.read<T>("keys"), c.labels("labels"), c.read<T>("head"), c.count("classes"), c.extent("keys", 1),
            {.alpha = c.number("alpha"), .beta = c.number("beta"), .scale = c.number("scale")}) {}
};

template <class S>
void keys(OracleCase& c) {
  const auto features = c.read<float>("features");
  const auto got = task::cache_keys(features, c.extent("features", 0), c.extent("features", 2));
  CHECK(oracle_error(got, c.read("keys")) < 1e-7);  // in double, rounded once to f32
}

template <class S>
void logits(OracleCase& c) {
  using T = typename S::T;
  const auto got = Cache<S>(c).tip.logits(c.read<T>("features"));
  CHECK(oracle_error(got, c.read("logits")) < oracle_bound<T>);
}

template <class S>
void trained(OracleCase& c) {
  using T = typename S::T;
  Cache<S> cache(c);
  const auto features = c.read<T>("features");
  const auto labels = c.labels("labels");
  std::vector<T> gradient(cache.tip.keys().size());
  cache.tip.loss(features, labels, gradient);
  CHECK(oracle_error(gradient, c.read("first_gradient")) < oracle_bound<T>);
  // One batch an epoch: the order of the samples changes nothing but the rounding.
  const auto losses = cache.tip.train(features, labels,
                                      {.epochs = c.count("epochs"),
                                       .batch = labels.size(),
                                       .lr = c.number("lr"),
                                       .weight_decay = c.number("weight_decay")});
  CHECK(oracle_error(losses, c.read("losses")) < oracle_bound<T>);
  CHECK(oracle_error(cache.tip.keys(), c.read("trained_keys")) < oracle_bound<T>);
}

template <class S>
void walk() {
  walk_oracle("tip_adapter.json", {{"keys", 2, keys<S>}, {"logits", 5, logits<S>}, {"trained", 2, trained<S>}});
}

}  // namespace

TEST_CASE("Tip-Adapter is that of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("Tip-Adapter is that of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
