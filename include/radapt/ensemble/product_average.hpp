#pragma once
/// The moving average of what adapters do, such as s F or s U D, instead of their factors (methods.md 1.6: the product
/// of averages is not the average of products).
#include <map>
#include <string>
#include <vector>

#include "radapt/adapter/fold.hpp"
#include "radapt/clip/merge.hpp"

namespace radapt {

/// Average of the products of every adapter of model M. Starts at zero updates, the products at initialisation.
template <class M, class T = float>
class ProductAverage {
 public:
  /// Takes the products of `values` as they are.
  explicit ProductAverage(const Values<M, T>& values) {
    for (const FoldableLayer<T>& layer : with_products(values)) { products_[layer.path] = layer.product(); }
  }

  /// average = momentum average + (1 - momentum) product, for every adapter.
  void update(const Values<M, T>& values, double momentum) {
    for (const FoldableLayer<T>& layer : with_products(values)) {
      const detail::DoubleMatrix product = layer.product();
      detail::DoubleMatrix& average = products_.at(layer.path);
      for (Index i = 0; i < average.size(); ++i) {
        average.data()[i] = momentum * average.data()[i] + (1.0 - momentum) * product.data()[i];
      }
    }
  }

  /// The plain CLIP whose hosts are (I + alpha average) W, or W + alpha average where the adapter stands for its host;
  /// `base` gives every other tensor.
  Weights<Clip<typename M::arch>, T> merge(double alpha, const Weights<M, T>& base) const {
    Weights<Clip<typename M::arch>, T> plain;
    copy_by_name(plain, base);
    const auto layers = with_products(base.tree());
    detail::each_host(layers, plain, [&](const FoldableLayer<T>& layer, Matrix<T> weight, Matrix<T> bias) {
      const detail::DoubleMatrix& average = products_.at(layer.path);
      if (layer.host == Host::in_front) {
        detail::fold_into(alpha, weight, Vector<T>(bias.data, bias.size()),
                          [&](const detail::DoubleMatrix& m) { return detail::multiply(average, m); });
      } else if (alpha != 0.0) {
        detail::add_to(weight, alpha, average);
      }
    });
    return plain;
  }

  /// Bytes of the products of model M: one matrix in double for every adapter.
  static Index bytes() {
    Index n = 0;
    const Values<M, T> extents{};
    for (const FoldableLayer<T>& layer : with_products(extents)) { n += layer.rows * layer.columns * sizeof(double); }
    return n;
  }

  /// Products by the path of their adapter, for checkpoints.
  std::map<std::string, detail::DoubleMatrix>& products() { return products_; }
  const std::map<std::string, detail::DoubleMatrix>& products() const { return products_; }

 private:
  static std::vector<FoldableLayer<T>> with_products(const Values<M, T>& values) {
    std::vector<FoldableLayer<T>> layers = foldable_layers<M, T>(values);
    for (const FoldableLayer<T>& layer : layers) {
      if (!layer.has_product()) {
        fail({.what = "average of products",
              .expected = "adapters with a product(), or a fold() that works in double",
              .got = "none at '" + layer.path + "'",
              .hint = "Give the layer a product(), or average factors (Average::Target::factors)"});
      }
    }
    return layers;
  }

  std::map<std::string, detail::DoubleMatrix> products_;
};

}  // namespace radapt
