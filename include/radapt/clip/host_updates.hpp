#pragma once
/// What the adapters of a CLIP add to the weights of their hosts: what ProLoRA moves (methods.md 5.5).
#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "radapt/adapter/foldable_layers.hpp"
#include "radapt/adapter/space_algebra.hpp"
#include "radapt/adapter/transfer.hpp"
#include "radapt/core/weights.hpp"

namespace radapt::detail {

/// A weight as methods.md 5.5 has them: that of a host, or q, k or v in their fused projection, which is three in one.
struct HostRows {
  std::string name;  ///< the host's, with q, k or v behind it
  std::string host;
  Index part = 0, parts = 1;

  template <class T>
  Matrix<T> of(const Matrix<T>& weight) const {
    const Index rows = weight.rows / parts;
    return {weight.data + part * rows * weight.columns, rows, weight.columns};
  }
  template <class T>
  Matrix<T> of_bias(const Matrix<T>& bias) const {
    const Index rows = bias.size() / parts;
    return {bias.data + part * rows, rows, 1};
  }
};
/// The weights that a host holds: one, or three.
inline std::vector<HostRows> rows_of(const std::string& host) {
  if (!host.ends_with("in_proj_")) { return {{host, host}}; }
  return {{host + "q", host, 0, 3}, {host + "k", host, 1, 3}, {host + "v", host, 2, 3}};
}

/// What adapters add to a host: dW = alpha P W and db = alpha P b behind it, dW = alpha P in its place, and dW = W
/// alpha P in front of it; as factors where P says that it has them.
struct HostUpdate {
  LowRankUpdate factors{};  ///< empty if the adapter is of full rank
  EigenMatrix matrix{};     ///< empty if it is not
  EigenMatrix bias{};       ///< (out, 1)
  bool is_factored() const { return matrix.size() == 0; }
};

/// That of one layer.
template <class T>
HostUpdate layer_update(double alpha, const FoldableLayer<T>& layer, const EigenMatrix& W, const EigenMatrix& b) {
  using Algebra = SpaceAlgebra<double>;
  HostUpdate update;
  const bool in_front = layer.host == Host::in_front;
  update.bias = EigenMatrix::Zero(b.rows(), 1);
  if (layer.has_factors()) {
    const ProductFactors factors = layer.factors();
    const EigenMatrix A = eigen_matrix(factors.A);
    update.factors.B = alpha * eigen_matrix(factors.B);
    update.factors.A = in_front ? Algebra::product(A, W) : A;
    if (in_front) { update.bias = Algebra::product(update.factors.B, Algebra::product(A, b)); }
  } else if (layer.has_product()) {
    const EigenMatrix P = alpha * eigen_matrix(layer.product());
    update.matrix = in_front ? Algebra::product(P, W) : P;
    if (in_front) { update.bias = Algebra::product(P, b); }
  } else {
    update.matrix = W;
    update.bias = b;
    layer.fold_in_double(alpha, {update.matrix.data(), Index(W.rows()), Index(W.cols())},
                         {update.bias.data(), Index(b.rows())});
    update.matrix -= W;
    update.bias -= b;
  }
  return update;
}

/// The update as one matrix (out, in).
template <class S = double>
EigenMatrix dense_update(const HostUpdate& update) {
  return update.is_factored() ? dense<S>(update.factors) : update.matrix;
}

/// That of all layers of one host together: each finds the weight as those before it leave it, as in a merge.
template <class T>
HostUpdate host_update(double alpha, const std::vector<FoldableLayer<T>>& layers, Matrix<const T> weight,
                       Matrix<const T> bias) {
  const EigenMatrix W = eigen_matrix(weight), b = eigen_matrix(Matrix<const T>(bias.data, bias.size(), 1));
  HostUpdate all = layer_update(alpha, layers[0], W, b);
  for (Index i = 1; i < layers.size(); ++i) {
    HostUpdate update = layer_update<T>(alpha, layers[i], W + dense_update(all), b + all.bias);
    if (all.is_factored() && update.is_factored()) {
      LowRankUpdate both{.B = EigenMatrix(W.rows(), all.factors.B.cols() + update.factors.B.cols()),
                         .A = EigenMatrix(all.factors.A.rows() + update.factors.A.rows(), W.cols())};
      both.B << all.factors.B, update.factors.B;
      both.A << all.factors.A, update.factors.A;
      all = {.factors = std::move(both), .bias = all.bias + update.bias};
    } else {
      all = {.matrix = dense_update(all) + dense_update(update), .bias = all.bias + update.bias};
    }
  }
  return all;
}

/// What of it belongs to some rows of the host.
template <class S = double>
HostUpdate of_rows(const HostUpdate& update, const HostRows& rows) {
  if (rows.parts == 1) { return update; }
  const auto take = [&](const EigenMatrix& m) {
    const Eigen::Index n = m.rows() / static_cast<Eigen::Index>(rows.parts);
    return EigenMatrix(m.middleRows(static_cast<Eigen::Index>(rows.part) * n, n));
  };
  if (!update.is_factored()) { return {.matrix = take(update.matrix), .bias = take(update.bias)}; }
  return {.factors = {.B = take(update.factors.B), .A = update.factors.A}, .bias = take(update.bias)};
}

/// A weight and how to compute its update: one at a time, since an update is as large as a weight.
struct LazyUpdate {
  HostRows rows;
  std::function<HostUpdate()> compute;
};

/// The updates of all weights that adapters of a model change, in the order of the layers.
template <class M, class T>
std::vector<LazyUpdate> host_updates(double alpha, const Weights<M, T>& adapted) {
  std::vector<std::vector<FoldableLayer<T>>> hosts;
  const std::vector<Tensor<const T>> tensors = adapted.tensors();
  const TensorNames names(tensors);
  for (const FoldableLayer<T>& layer : foldable_layers<M, T>(adapted.tree())) {
    if (!layer.has_product() && !layer.has_factors() && !layer.folds_in_double()) {
      fail({.what = "transfer_adapters: the adapter '" + layer.path + "'",
            .expected = "a product(), factors(), or a fold() that works in double",
            .got = "none of them",
            .hint = "Give the layer a product(), or folds_in_double = true where its fold() does not mind the type"});
    }
    const auto same = std::find_if(hosts.begin(), hosts.end(),
                                   [&](const auto& layers) { return layers[0].host_path == layer.host_path; });
    (same == hosts.end() ? hosts.emplace_back() : *same).push_back(layer);
  }
  std::vector<LazyUpdate> updates;
  for (const auto& layers : hosts) {
    const Matrix<const T> weight = tensors[names.at(layers[0].weight_name())].matrix();
    const Matrix<const T> bias = tensors[names.at(layers[0].bias_name())].matrix();
    for (const HostRows& rows : rows_of(layers[0].host_path)) {
      updates.push_back({rows, [alpha, layers, weight, bias, rows] {
                           return of_rows(host_update<T>(alpha, layers, weight, bias), rows);
                         }});
    }
  }
  return updates;
}

/// The tensor of a module's weight, and back.
inline std::string weight_of(const std::string& host) { return join(host, "weight"); }
inline std::string host_of_weight(const std::string& name) {
  const std::string host = name.substr(0, name.size() - std::string_view("weight").size());
  return host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
}

}  // namespace radapt::detail
