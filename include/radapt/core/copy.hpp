#pragma once
/// Moves tensors between models that share names: a Clip and a Classifier, a Clip with and without adapters.
#include <map>
#include <string>
#include <utility>

#include "radapt/core/error.hpp"
#include "radapt/core/weights.hpp"

namespace radapt {

/// Copies every tensor of `from` whose name and size `to` has as well; returns how many were copied. A tensor of the
/// same name and another size is an error.
template <class To, class From, class T, class U>
Index copy_by_name(Weights<To, T>& to, const Weights<From, U>& from) {
  std::map<std::string, std::pair<const U*, Index>> tensors;
  each_named(
      [&](const std::string& name, const auto& leaf) {
        tensors[name] = {leaf.data, leaf.size()};
      },
      "", from.tree());
  Index copied = 0;
  each_named(
      [&](const std::string& name, auto& leaf) {
        const auto found = tensors.find(name);
        if (found == tensors.end()) { return; }
        if (found->second.second != leaf.size()) {
          fail({.what = "copying tensor '" + name + "' between models",
                .expected = std::to_string(leaf.size()) + " elements",
                .got = std::to_string(found->second.second),
                .hint = "The two models have different architectures"});
        }
        for (Index i = 0; i < leaf.size(); ++i) { leaf.data[i] = static_cast<T>(found->second.first[i]); }
        ++copied;
      },
      "", to.tree());
  return copied;
}

}  // namespace radapt
