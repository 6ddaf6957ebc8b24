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
  for (const Tensor<const T>& tensor : weights.tensors()) {
    places.push_back({.name = tensor.name(),
                      .offset = static_cast<Index>(tensor.data - weights.buffer().data()),
                      .size = tensor.size(),
                      .rows = tensor.rank() == 0 ? 1 : tensor.extent(0),
                      .is_head = tensor.facts.is_head});
  }
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
