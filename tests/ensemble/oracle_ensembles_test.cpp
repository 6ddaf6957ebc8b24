/// TPGM, uniform and greedy soups and the output ensemble against tests/oracle, where autograd and torch.optim compute
/// them.
#include "ensemble/oracle_models.hpp"
#include "radapt/ensemble/output_pair.hpp"
#include "radapt/ensemble/soup.hpp"
#include "radapt/ensemble/tpgm.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

radapt::UpdateNorm norm_of(OracleCase& c) {
  const std::string norm = c.word("norm");
  REQUIRE((norm == "l2" || norm == "mars"));
  return norm == "l2" ? radapt::UpdateNorm::l2 : radapt::UpdateNorm::mars;
}

template <class T>
void projection(OracleCase& c) {
  using W = Net<T>;
  const auto anchor = read_model<W>(c, "anchor."), tuned = read_model<W>(c, "tuned."),
             dprojected = read_model<W>(c, "dprojected.");
  const radapt::TpgmProjection<W> of(anchor, tuned, norm_of(c));
  const auto radii = c.read("radii");
  check_model(c, of.project(radii), "projected.", rounded_once<T>);
  // The inputs are exact and everything is in double.
  CHECK(oracle_error(of.gradient(radii, dprojected), c.read("dradii")) < oracle_bound<double>);
}

template <class T>
void learning(OracleCase& c) {
  using W = Net<T>;
  const auto anchor = read_model<W>(c, "anchor."), tuned = read_model<W>(c, "tuned."),
             target = read_model<W>(c, "target."), curvature = read_model<W>(c, "curvature.");
  const auto loss = [&](const W& at, W& gradient) {
    double sum = 0;
    for (Index i = 0; i < at.buffer().size(); ++i) {
      const double off = static_cast<double>(at.buffer()[i]) - static_cast<double>(target.buffer()[i]);
      const double weighted = static_cast<double>(curvature.buffer()[i]) * off;
      sum += weighted * off / 2;
      gradient.buffer()[i] = static_cast<T>(weighted);
    }
    return sum;
  };
  const auto result = radapt::tpgm(anchor, tuned, loss,
                                   {.norm = norm_of(c),
                                    .iterations = c.count("iterations"),
                                    .optimizer = {.lr = c.number("lr")},
                                    .excluded = c.words("excluded"),
                                    .progress = quiet()});
  // In float the weights and their gradients are rounded in each of fifteen steps: seen 7e-8.
  constexpr double bound = sizeof(T) == 8 ? 1e-12 : 1e-6;
  std::vector<double> radii;
  for (const auto& tensor : result.tensors) { radii.push_back(tensor.radius); }
  CHECK(oracle_error(result.losses, c.read("losses")) < bound);
  CHECK(oracle_error(radii, c.read("radii")) < bound);
  check_model(c, result.weights, "projected.", bound);
}

using HeadLayer = radapt::Linear<4, radapt::dynamic, radapt::role::head>;
/// What greedy choices are made among: too few numbers for a model of two layers would not make them differ.
template <class T>
using Head = radapt::Weights<HeadLayer, T>;

template <class T>
void uniform(OracleCase& c) {
  const auto models = read_models<Net<T>>(c);
  check_model(c, radapt::uniform_soup(pointers(models)), "mean.", rounded_once<T>);
}

template <class T>
void greedy(OracleCase& c) {
  const auto models = read_models<Head<T>>(c);
  const auto x = c.read("x");
  const auto labels = c.labels("labels");
  const Index classes = c.count("classes");
  const auto accuracy = [&](const Head<T>& head) {
    const auto& [weight, bias] = head.tree();
    Index right = 0;
    for (Index i = 0; i < labels.size(); ++i) {
      std::vector<double> z(classes);
      for (Index k = 0; k < classes; ++k) {
        z[k] = static_cast<double>(bias.data[k]);
        for (Index e = 0; e < 4; ++e) { z[k] += x[4 * i + e] * static_cast<double>(weight.data[4 * k + e]); }
      }
      right += std::max_element(z.begin(), z.end()) - z.begin() == labels[i] ? 1U : 0U;
    }
    return static_cast<double>(right) / static_cast<double>(labels.size());
  };
  const auto soup = radapt::greedy_soup(pointers(models), accuracy, quiet());
  std::vector<Index> order;
  std::vector<int> kept;
  std::vector<double> alone, reached;
  for (const auto& turn : soup.turns) {
    order.push_back(turn.model);
    kept.push_back(turn.kept ? 1 : 0);
    alone.push_back(turn.alone);
    reached.push_back(turn.with);
  }
  CHECK(order == c.read<Index>("order"));
  CHECK(kept == c.read<int>("kept"));
  // Quotients of the same whole numbers.
  CHECK(alone == c.read("alone"));
  CHECK(reached == c.read("reached"));
  CHECK(soup.score == c.number("score"));
  check_model(c, soup.weights, "soup.", rounded_once<T>);
}

template <class T>
void output_ensemble(OracleCase& c) {
  const auto table = [&](const std::string& name) {
    return radapt::Scores<T>{.values = c.read<T>(name), .width = c.extent(name, 1)};
  };
  using Pair = radapt::OutputEnsemblePair<Net<T>, SmallNet>;
  const auto mixture = Pair::probabilities(c.number("alpha"), table("tuned"), table("zero_shot"),
                                           c.number("tuned_temperature"), c.number("zero_shot_temperature"));
  // Probabilities are rounded to T, and their mixture again.
  CHECK(oracle_error(mixture.values, c.read("mixture")) < 2 * rounded_once<T>);
}

}  // namespace

TEST_CASE_TEMPLATE("TPGM is that of the oracle", T, double, float) {
  walk_oracle("tpgm.json", {{"projection", 4, projection<T>}, {"learning", 4, learning<T>}});
}
TEST_CASE_TEMPLATE("model soups are those of the oracle", T, double, float) {
  walk_oracle("soups.json", {{"uniform", 3, uniform<T>}, {"greedy", 3, greedy<T>}});
}
TEST_CASE_TEMPLATE("the output ensemble is that of the oracle", T, double, float) {
  walk_oracle("output_ensemble.json", {{"output_ensemble", 6, output_ensemble<T>}});
}
