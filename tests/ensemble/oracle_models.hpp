#pragma once
/// Small models out of the cases of tests/oracle, and their tensors against what is expected.
#include <string>
#include <vector>

#include "ensemble/small_net.hpp"
#include "oracle/cases.hpp"

namespace radapt_test {

/// Results in T of what is computed in double: one rounding, half of 1.2e-7 relative.
template <class T>
inline constexpr double rounded_once = sizeof(T) == 8 ? 1e-12 : 1e-7;

template <class T>
using Net = radapt::Weights<SmallNet, T>;

template <class W>
W read_model(OracleCase& c, const std::string& prefix) {
  W weights(c.count("classes"));
  c.read_into(weights.tree(), prefix);
  return weights;
}
template <class W>
std::vector<W> read_models(OracleCase& c) {
  std::vector<W> models;
  for (radapt::Index m = 0; m < c.count("models"); ++m) {
    models.push_back(read_model<W>(c, "model_" + std::to_string(m) + "."));
  }
  return models;
}
template <class W>
std::vector<const W*> pointers(const std::vector<W>& models) {
  std::vector<const W*> list;
  for (const W& model : models) { list.push_back(&model); }
  return list;
}
/// Every tensor of a model against the case's `prefix + name`; those of the head are `head_scale` times that.
template <class W>
void check_model(OracleCase& c, const W& weights, const std::string& prefix, double bound, double head_scale = 1) {
  for (const auto& tensor : weights.tensors()) {
    CAPTURE(tensor.name());
    auto expected = c.read(prefix + tensor.name());
    for (double& x : expected) { x *= tensor.facts.is_head ? head_scale : 1; }
    CHECK(oracle_error(std::vector(tensor.data, tensor.data + tensor.size()), expected) < bound);
  }
}

}  // namespace radapt_test
