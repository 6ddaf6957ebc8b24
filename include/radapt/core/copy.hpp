#pragma once
/// Moves tensors between models that share names: a Clip and a Classifier, a Clip with and without adapters.
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/weights.hpp"

namespace radapt {

/// Copies every tensor of `from` whose name and size `to` has as well; returns how many were copied. A tensor of the
/// same name and another size is an error.
template <class To, class From, class T, class U>
Index copy_by_name(Weights<To, T>& to, const Weights<From, U>& from) {
  const std::vector<Tensor<const U>> sources = from.tensors();
  const TensorNames names(sources);
  Index copied = 0;
  for (const Tensor<T>& target : to.tensors()) {
    if (!names.has(target.name())) { continue; }
    const Tensor<const U>& source = sources[names.at(target.name())];
    if (source.size() != target.size()) {
      fail({.what = "copying tensor '" + target.name() + "' between models",
            .expected = std::to_string(target.size()) + " elements",
            .got = std::to_string(source.size()),
            .hint = "The two models have different architectures"});
    }
    for (Index i = 0; i < target.size(); ++i) { target.data[i] = static_cast<T>(source.data[i]); }
    ++copied;
  }
  return copied;
}

}  // namespace radapt
