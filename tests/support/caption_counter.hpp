#pragma once
/// A backend that computes as another and counts the captions that a text tower is given.
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/op/embed.hpp"

namespace radapt_test {

template <class Backend>
struct caption_counter : Backend {
  std::vector<radapt::Index> captions;  ///< of every pass of a text tower
};
template <class Backend, class T>
void launch(caption_counter<Backend>& device, const radapt::op::embed_tokens_forward<T>& o) {
  device.captions.push_back(o.sequences.count);
  launch(static_cast<Backend&>(device), o);
}

}  // namespace radapt_test
