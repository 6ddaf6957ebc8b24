/// The learned soup against tests/oracle, where torch.optim learns the shares.
#include "ensemble/oracle_models.hpp"
#include "radapt/ensemble/learned_soup.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

template <class T>
void learned(OracleCase& c) {
  using W = Net<T>;
  const auto models = read_models<W>(c);
  const auto x = c.read<T>("x");
  const auto labels = c.labels("labels");
  radapt::HeldOutLoss<SmallNet, radapt::reference, T> held_out(c.count("classes"), {.batch = labels.size()});
  const auto loss = [&](const W& at, W& gradient) { return held_out(at, {.pixels = x, .labels = labels}, gradient); };
  const auto soup = radapt::learned_soup(pointers(models), loss,
                                         {.iterations = c.count("iterations"),
                                          .optimizer = {.lr = c.number("lr"), .weight_decay = c.number("weight_decay")},
                                          .learns_logit_scale = c.count("learns_logit_scale") != 0,
                                          .progress = quiet()});
  // In float the loss and its gradient are rounded, and Adam divides by the size of the latter: seen 1.3e-7.
  constexpr double bound = sizeof(T) == 8 ? 1e-12 : 2e-6;
  std::vector<double> shares;
  for (const auto& row : soup.shares) { shares.insert(shares.end(), row.begin(), row.end()); }
  CHECK(oracle_error(soup.losses, c.read("losses")) < bound);
  CHECK(oracle_error(shares, c.read("shares")) < bound);
  const double scale = c.number("logit_scale");
  CHECK(std::abs(soup.logit_scale - scale) < bound);
  check_model(c, soup.weights, "mixture.", bound, scale);
}

}  // namespace

TEST_CASE_TEMPLATE("the learned soup is that of the oracle", T, double, float) {
  walk_oracle("learned_soup.json", {{"learned", 4, learned<T>}});
}
