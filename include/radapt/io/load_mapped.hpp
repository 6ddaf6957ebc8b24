#pragma once
/// A CLIP that is only run, read where it lies in its file.
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "radapt/core/const_weights.hpp"
#include "radapt/io/load.hpp"

namespace radapt {

/// The weights that `load` gives, for sessions: tensors that the file holds as T in radapt's order (all of an open_clip
/// checkpoint in F32; of one from transformers all but queries, keys, values and projections) stay in the mapped file,
/// others are copied, now and of both towers. What stays is not read before it is used, so a program that runs one
/// tower never reads what stays of the other, and several processes share the file's pages. Errors: those of `load`.
///
/// The file must stay as it is while the weights live: if it is shortened, reading them ends the program. Checkpoints
/// that are replaced as a whole, as `save` and package managers do, are safe.
template <class M, class T = float>
ConstWeights<M, T> load_mapped(const std::filesystem::path& path, const LoadOptions& options = {}) {
  struct Held {
    safetensors::File file;
    Buffer<T> copied;
  };
  const auto held = std::make_shared<Held>(Held{detail::open_checkpoint<M>(path, options), {}});
  std::vector<Tensor<T>> tensors;
  for (TensorFacts& facts : describe<M>()) { tensors.push_back({std::move(facts)}); }
  const names::Assembly assembly = detail::assemble(held->file, tensors, options);

  std::vector<const T*> places;
  std::vector<bool> in_file;
  Index elements_copied = 0;
  for (const Tensor<T>& tensor : tensors) {
    const bool whole = assembly.stored_size(tensor.name()) == tensor.size();
    places.push_back(whole ? assembly.in_place<T>(tensor.name()) : nullptr);
    in_file.push_back(places.back() != nullptr);
    if (!in_file.back()) { elements_copied += padded_elements<T>(tensor.size()); }
  }
  held->copied = Buffer<T>(elements_copied);
  T* next = held->copied.data();
  for (Index k = 0; k < tensors.size(); ++k) {
    if (in_file[k]) { continue; }
    tensors[k].data = next;
    detail::read_tensor<typename M::arch>(tensors[k], assembly, options.positions);
    places[k] = next;
    next += padded_elements<T>(tensors[k].size());
  }
  return {places, in_file, held};
}

}  // namespace radapt
