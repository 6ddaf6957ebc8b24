#pragma once
/// Both towers of a CLIP and a classifier's head: what a cross entropy trains when its terms read captions as well.
#include "radapt/clip/clip.hpp"
#include "radapt/layer/linear.hpp"

namespace radapt {

/// The tensors of Model, a Clip, and head.weight (classes, embed), head.bias (classes), on normalised image features.
/// The number of classes is data: `Weights<HeadedClip<...>> w(classes)`. copy_by_name makes a Classifier of it.
template <class Model>
struct HeadedClip : Model {
  using clip = Model;
  using Head = Linear<Model::arch::embed, dynamic, role::head>;

  template <template <class, class> class Slot>
  struct Params : Model::template Params<Slot> {
    using towers = typename Model::template Params<Slot>;
    typename Head::template Params<Slot> head;
    static constexpr void each(auto&& f, auto&... t) {
      towers::each(f, t...);
      f("head", t.head...);
    }
  };

  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    Model::each_layer(f, path, p...);
    detail::visit_layer<Head>(f, join(path, "head"), p.head...);
  }
};

}  // namespace radapt
