#pragma once
/// The foldable layers of a model as data: one walk over its types, for everything that merges.
#include <string>
#include <type_traits>
#include <vector>

#include "radapt/adapter/fold.hpp"
#include "radapt/core/tensors.hpp"
#include "radapt/layer/visit.hpp"

namespace radapt {

/// Which host layer L folds into: `L::folds_into`, or the linear layer in front of it where L does not say.
template <class L>
inline constexpr Host host_of_layer = [] {
  if constexpr (requires { L::folds_into; }) {
    return L::folds_into;
  } else {
    return Host::in_front;
  }
}();

/// A product as two factors, B (rows, r) A (r, columns).
struct ProductFactors {
  detail::DoubleMatrix B, A;
};

/// One foldable layer of a model, without its type. It refers to the parameters that it was made from.
template <class T>
struct FoldableLayer {
  std::string path;  ///< of the layer, e.g. `visual.transformer.resblocks.0.attn.adapter`
  Host host = Host::in_front;
  std::string host_path;  ///< of the linear layer whose weight changes

  /// Extents of the product: those of the host's weight where the layer is the host, else the width of what it puts
  /// out.
  Index rows = 0, columns = 0;

  const void* parameters = nullptr;
  void (*fold_with)(double, const void*, Matrix<T>, Vector<T>) = nullptr;
  detail::DoubleMatrix (*product_of)(const void*, Index, Index) = nullptr;
  ProductFactors (*factors_of)(const void*) = nullptr;
  void (*fold_in_double_with)(double, const void*, Matrix<double>, Vector<double>) = nullptr;

  std::string weight_name() const { return join(host_path, "weight"); }
  std::string bias_name() const { return join(host_path, "bias"); }
  /// L::fold(alpha, parameters, weight, bias).
  void fold(double alpha, Matrix<T> weight, Vector<T> bias) const { fold_with(alpha, parameters, weight, bias); }
  /// Whether the layer can say what it does as one matrix.
  bool has_product() const { return product_of != nullptr; }
  /// P, where the layer makes (I + P) W and (I + P) b of its host; where it is the host, what it adds to W.
  detail::DoubleMatrix product() const { return product_of(parameters, rows, columns); }
  /// Whether the product comes as two thin factors: the layer has factors().
  bool has_factors() const { return factors_of != nullptr; }
  ProductFactors factors() const { return factors_of(parameters); }
  /// Whether fold() works on a host in double: what the layer adds, which may depend on the host, is a difference then.
  bool folds_in_double() const { return fold_in_double_with != nullptr; }
  void fold_in_double(double alpha, Matrix<double> weight, Vector<double> bias) const {
    fold_in_double_with(alpha, parameters, weight, bias);
  }
};

namespace detail {

/// The linear layer in front of the adapter at `path`: `<block>.attn.adapter` folds into `<block>.attn.out_proj`.
inline std::string host_in_front(const std::string& path) {
  const std::string sublayer = path.substr(0, path.rfind(".adapter"));
  return sublayer + (sublayer.ends_with(".attn") ? ".out_proj" : ".c_proj");
}

/// Whether L can say what it does as one matrix: it has a product(), or is behind its host and folds in double.
template <class L, class P>
concept says_product = requires(const P& p) {
  L::product(p);
}
|| (host_of_layer<L> == Host::in_front &&
    requires(const P& p, Matrix<double> w, Vector<double> b) { L::fold(1.0, p, w, b); });

/// A layer whose fold() works on a host in double, whatever the type of its parameters, says folds_in_double = true.
template <class L>
concept says_folds_in_double = requires {
  requires L::folds_in_double;
};

/// What layer L does, as one matrix: its product(), or what it makes of the identity beyond it.
template <class L>
DoubleMatrix product_of_layer(const auto& p, Index rows, Index columns) {
  if constexpr (requires { L::product(p); }) {
    return L::product(p);
  } else {
    DoubleMatrix folded(rows, columns);
    for (Index i = 0; i < rows; ++i) { folded.data()[i * (columns + 1)] = 1.0; }
    L::fold(1.0, p, Matrix<double>(folded.data(), rows, columns), Vector<double>{});
    for (Index i = 0; i < rows; ++i) { folded.data()[i * (columns + 1)] -= 1.0; }
    return folded;
  }
}

}  // namespace detail

/// The foldable layers of model M in the order in which they compute, which is the order to fold them in. `values` must
/// outlive the list.
template <class M, class T>
std::vector<FoldableLayer<T>> foldable_layers(const Values<M, T>& values) {
  std::vector<FoldableLayer<T>> all;
  const auto take = [&]<class L>(const std::string& path, const auto& p) {
    if constexpr (foldable<L, T>) {
      using P = std::remove_cvref_t<decltype(p)>;
      FoldableLayer<T> one;
      one.path = path;
      one.host = host_of_layer<L>;
      one.host_path = one.host == Host::itself ? path : detail::host_in_front(path);
      one.parameters = &p;
      one.fold_with = [](double alpha, const void* parameters, Matrix<T> weight, Vector<T> bias) {
        L::fold(alpha, *static_cast<const P*>(parameters), weight, bias);
      };
      if constexpr (detail::says_product<L, P>) {
        one.product_of = [](const void* parameters, Index rows, Index columns) {
          return detail::product_of_layer<L>(*static_cast<const P*>(parameters), rows, columns);
        };
      }
      if constexpr (requires { L::factors(p); }) {
        one.factors_of = [](const void* parameters) { return L::factors(*static_cast<const P*>(parameters)); };
      }
      if constexpr (detail::says_folds_in_double<L>) {
        one.fold_in_double_with = [](double alpha, const void* parameters, Matrix<double> weight, Vector<double> bias) {
          L::fold(alpha, *static_cast<const P*>(parameters), weight, bias);
        };
      }
      all.push_back(one);
    }
  };
  M::each_layer(take, "", values);
  const std::vector<TensorFacts> tensors = describe<M>();
  const TensorNames names(tensors);
  for (FoldableLayer<T>& layer : all) {
    if (!names.has(layer.weight_name())) { continue; }
    const Extents host = tensors[names.at(layer.weight_name())].extents;
    layer.rows = host.rows();
    layer.columns = layer.host == Host::itself ? host.size() / host.rows() : layer.rows;
  }
  return all;
}

}  // namespace radapt
