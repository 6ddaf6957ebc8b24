#pragma once
/// Weights that are only read, wherever they lie.
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/weights.hpp"

namespace radapt {

/// A stretch of memory that holds weights.
template <class T>
struct WeightRange {
  const T* begin = nullptr;
  Index elements = 0;
  bool in_file = false;  ///< pages of a mapped file: they can be given back, and come again when they are read
};

/// The weights of model M as what runs them reads them: those of a Weights object, or tensors of a mapped file
/// (load_mapped, io/load_mapped.hpp). Copies are cheap, and read the same memory.
template <class M, class T = float>
class ConstWeights {
 public:
  using model = M;
  using element = T;
  using Tree = Values<M, const T>;

  /// Reads `weights`, which must outlive this and all its copies.
  ConstWeights(const Weights<M, T>& weights) : classes_(weights.classes()) {
    if (weights.moved_away()) {
      fail({.what = "weights to read",
            .expected = "some",
            .got = "weights that were moved away",
            .hint = "Use what they were moved to"});
    }
    bind<const T>(tree_, weights.buffer().data(), classes_);
    ranges_ = {{weights.buffer().data(), weights.buffer().size()}};
  }
  ConstWeights(const Weights<M, T>&&) = delete;  // they would be gone: return them without const
  /// Keeps `weights`.
  ConstWeights(Weights<M, T>&& weights) : ConstWeights(std::make_shared<const Weights<M, T>>(std::move(weights))) {}
  /// The tensors at `places`, in the order of the tree; `owner` lives as long as this and its copies. `in_file` says of
  /// each whether it lies in a mapped file.
  ConstWeights(std::span<const T* const> places, const std::vector<bool>& in_file, std::shared_ptr<const void> owner)
      : owner_(std::move(owner)) {
    const auto all = leaves<const T>(tree_);
    for (Index k = 0; k < all.size(); ++k) {
      *all[k].place = {places[k], classes_};
      ranges_.push_back({places[k], all[k].extents.size(classes_), in_file[k]});
    }
    join_neighbours();
  }

  const Tree& tree() const { return tree_; }
  Index classes() const { return classes_; }
  /// Where the elements are, in the order of their addresses; padding between tensors may be among them.
  const std::vector<WeightRange<T>>& ranges() const { return ranges_; }
  /// Bytes of all ranges.
  Index bytes() const {
    Index elements = 0;
    for (const WeightRange<T>& range : ranges_) { elements += range.elements; }
    return elements * sizeof(T);
  }
  /// Whether any of them lies in a mapped file: then nobody can write to the others either.
  bool mapped() const {
    return std::any_of(ranges_.begin(), ranges_.end(), [](const WeightRange<T>& range) { return range.in_file; });
  }
  /// Whether an address is one of a mapped file.
  bool in_file(const T* place) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const WeightRange<T>& range) {
      return range.in_file && place >= range.begin && place < range.begin + range.elements;
    });
  }

  /// The tensors by name, in the order of the tree.
  std::vector<Tensor<const T>> tensors() const {
    Tree tree = tree_;  // leaves are listed as places that could be written
    const auto places = leaves<const T>(tree);
    std::vector<Tensor<const T>> all;
    for (TensorFacts& facts : describe<M>()) {
      all.push_back({std::move(facts), places[all.size()].place->data, classes_});
    }
    return all;
  }

  /// Weights of their own, equal to these.
  Weights<M, T> copy(const MemorySource& source = host_memory) const {
    Weights<M, T> out(classes_, source);
    const auto to = out.tensors();
    const auto from = tensors();
    for (Index k = 0; k < to.size(); ++k) { std::copy(from[k].data, from[k].data + from[k].size(), to[k].data); }
    return out;
  }

 private:
  explicit ConstWeights(std::shared_ptr<const Weights<M, T>> weights) : ConstWeights(*weights) {
    owner_ = std::move(weights);
  }

  void join_neighbours() {
    std::sort(ranges_.begin(), ranges_.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    std::vector<WeightRange<T>> joined;
    for (const WeightRange<T>& range : ranges_) {
      if (!joined.empty() && joined.back().begin + joined.back().elements == range.begin &&
          joined.back().in_file == range.in_file) {
        joined.back().elements += range.elements;
      } else {
        joined.push_back(range);
      }
    }
    ranges_ = std::move(joined);
  }

  std::shared_ptr<const void> owner_;
  Index classes_ = 1;
  Tree tree_{};
  std::vector<WeightRange<T>> ranges_;
};

/// Whether two weights of one model are equal, tensor by tensor, to the bit; those that lie in one place are not read.
template <class M, class T>
bool same_weights(const ConstWeights<M, T>& a, const ConstWeights<M, T>& b) {
  if (a.classes() != b.classes()) { return false; }
  const auto first = a.tensors(), second = b.tensors();
  for (Index k = 0; k < first.size(); ++k) {
    const T *const x = first[k].data, *const y = second[k].data;
    if (x != y && std::memcmp(x, y, first[k].size() * sizeof(T)) != 0) { return false; }
  }
  return true;
}

/// Whether a backend copies a matrix of weights for every product of which it does not know that they stay: in bf16.
template <class Backend>
bool packs_weights() {
  if constexpr (requires { Backend::packs_weights(); }) {
    return Backend::packs_weights();
  } else {
    return false;
  }
}

/// Promises a backend that wants to know that these weights stay as they are while `device` lives.
template <class M, class T>
void promise_constant(auto& device, const ConstWeights<M, T>& weights) {
  for (const WeightRange<T>& range : weights.ranges()) {
    if constexpr (requires { device.promise_constant(range.begin, range.elements, range.in_file); }) {
      device.promise_constant(range.begin, range.elements, range.in_file);
    } else if constexpr (requires { device.promise_constant(range.begin, range.elements); }) {
      device.promise_constant(range.begin, range.elements);
    }
  }
}

}  // namespace radapt
