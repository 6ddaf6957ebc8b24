#pragma once
/// Where the tensors of a model lie in the buffer of its weights: what walks a number of models that only the program
/// knows.
#include <string>
#include <vector>

#include "radapt/core/weights.hpp"

namespace radapt::detail {

/// One tensor of Weights<M, T>. All weights of one model, element type and number of classes have the same places.
struct TensorPlace {
  std::string name;
  Index offset, size;  ///< in elements of the buffer
  Index rows;          ///< the leading extent, 1 for a scalar
  bool is_head;        ///< answers to role::head
};

template <class M, class T>
std::vector<TensorPlace> tensor_places(const Weights<M, T>& weights) {
  std::vector<TensorPlace> places;
  const Descriptions<M> descriptions{};
  each_named(
      [&]<class S, class R>(const std::string& name, const Description<S, R>&, const Parameter<T, S>& leaf) {
        places.push_back({.name = name,
                          .offset = static_cast<Index>(leaf.data - weights.buffer().data()),
                          .size = leaf.size(),
                          .rows = S::rank == 0 ? 1 : S::extent(0, leaf.leading),
                          .is_head = role::answers_to<R, role::head>});
      },
      "", descriptions, weights.tree());
  return places;
}

/// The sum of products of two runs of elements, in double.
template <class T>
double dot(const T* a, const T* b, Index size) {
  double sum = 0;
  for (Index i = 0; i < size; ++i) { sum += static_cast<double>(a[i]) * static_cast<double>(b[i]); }
  return sum;
}

}  // namespace radapt::detail
