#pragma once
/// The moving average of what adapters do, s F or s U D, instead of their factors (methods.md 1.6: the product of
/// averages is not the average of products).
#include <map>
#include <string>

#include "radapt/adapter/fold.hpp"
#include "radapt/clip/merge.hpp"

namespace radapt {

/// Average of the products of every adapter of model M. Starts at zero updates, the products at initialisation.
template <class M, class T = float>
class ProductAverage {
 public:
  /// Takes the products of `values` as they are.
  explicit ProductAverage(const Values<M, T>& values) {
    visit(values, [this](const std::string& path, const detail::DoubleMatrix& product) { products_[path] = product; });
  }

  /// average = momentum average + (1 - momentum) product, for every adapter.
  void update(const Values<M, T>& values, double momentum) {
    visit(values, [&](const std::string& path, const detail::DoubleMatrix& product) {
      detail::DoubleMatrix& average = products_.at(path);
      average = momentum * average + (1.0 - momentum) * product;
    });
  }

  /// The plain CLIP whose hosts are (I + alpha average) W; `base` gives every other tensor.
  Weights<Clip<typename M::arch>, T> merge(double alpha, const Weights<M, T>& base) const {
    Weights<Clip<typename M::arch>, T> plain;
    copy_by_name(plain, base);
    auto hosts = detail::leaves_by_name<T>(plain.tree());
    for (const auto& entry : products_) {
      const Matrix<T> weight = hosts.at(detail::host_of(entry.first) + ".weight");
      const Matrix<T> bias = hosts.at(detail::host_of(entry.first) + ".bias");
      detail::fold_into(alpha, weight, Vector<T>(bias.data, bias.size()),
                        [&](const auto& m) { return (entry.second * m).eval(); });
    }
    return plain;
  }

  /// Bytes of the products of model M: one matrix in double for every adapter.
  static Index bytes() {
    Index n = 0;
    const auto add = [&]<class L>(const std::string&) {
      if constexpr (requires(const Values<L, T>& p) { L::product(p); }) {
        n += L::input_width * L::input_width * sizeof(double);
      }
    };
    M::Image::each_layer(add, "visual");
    M::Text::each_layer(add, "");
    return n;
  }

  /// Products by the path of their adapter, for checkpoints.
  std::map<std::string, detail::DoubleMatrix>& products() { return products_; }
  const std::map<std::string, detail::DoubleMatrix>& products() const { return products_; }

 private:
  template <class F>
  static void visit(const Values<M, T>& values, F&& f) {
    const auto take = [&]<class L>(const std::string& path, const auto& p) {
      if constexpr (requires { L::product(p); }) { f(path, L::product(p)); }
    };
    M::Image::each_layer(take, "visual", values.image);
    M::Text::each_layer(take, "", values.text);
  }

  std::map<std::string, detail::DoubleMatrix> products_;
};

}  // namespace radapt
