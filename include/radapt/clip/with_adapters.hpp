#pragma once
/// A plain CLIP with adapters in their places, as training begins.
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "radapt/clip/clip.hpp"
#include "radapt/core/const_weights.hpp"
#include "radapt/core/copy.hpp"

namespace radapt {

/// The same CLIP with the adapters of Policy at their first values: it computes what `plain` computes.
template <class Policy, class Arch, class Unlock, class T>
Weights<Clip<Arch, Policy, Unlock>, T> with_adapters(const Weights<Clip<Arch, NoAdapter, Unlock>, T>& plain,
                                                     std::uint64_t seed = 0) {
  Weights<Clip<Arch, Policy, Unlock>, T> out;
  copy_by_name(out, plain);
  Random random(seed);
  Clip<Arch, Policy, Unlock>::initialise(out.tree(), random);
  return out;
}

/// The same without copying: tensors of `plain` are read where they lie, such as in a mapped file (load_mapped), and
/// the result holds the adapters alone, which is all that a layer's `initialise` may write. What a trainer begins with.
template <class Policy, class Arch, class Unlock, class T>
ConstWeights<Clip<Arch, Policy, Unlock>, T> with_adapters(const ConstWeights<Clip<Arch, NoAdapter, Unlock>, T>& plain,
                                                          std::uint64_t seed = 0) {
  using Model = Clip<Arch, Policy, Unlock>;
  struct Held {
    ConstWeights<Clip<Arch, NoAdapter, Unlock>, T> plain;
    Buffer<T> adapters;
  };
  const auto sources = plain.tensors();
  const TensorNames names(sources);
  Values<Model, T> own{};  // of the adapters alone: what is shared has no place in it
  const auto places = leaves<T>(own);
  const auto tensors = describe<Model>();
  Index elements = 0;
  for (const TensorFacts& tensor : tensors) {
    if (!names.has(tensor.name)) { elements += padded_elements<T>(tensor.extents.size()); }
  }
  const auto held = std::make_shared<Held>(Held{plain, Buffer<T>(elements)});
  std::vector<const T*> data;
  std::vector<bool> in_file;
  T* next = held->adapters.data();
  for (Index k = 0; k < tensors.size(); ++k) {
    if (names.has(tensors[k].name)) {
      data.push_back(sources[names.at(tensors[k].name)].data);
    } else {
      *places[k].place = {next, 1};
      data.push_back(next);
      next += padded_elements<T>(tensors[k].extents.size());
    }
    in_file.push_back(plain.in_file(data.back()));
  }
  Random random(seed);
  Model::initialise(own, random);
  return {data, in_file, held};
}

}  // namespace radapt
