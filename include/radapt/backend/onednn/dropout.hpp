#pragma once
/// oneDNN backend's kernel of op/dropout.hpp: one draw of Philox for four elements.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/dropout.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::dropout<T>& o) {
  using namespace detail::cpu;
  const Index width = o.y.columns;
  const float rescale = static_cast<float>(1.0 / (1.0 - o.draws.probability));
  parallel_for(o.sequences.count, o.sequences.longest() * width, [&](Index s) {
    const T* const x = o.x.data + o.sequences.begin(s) * width;
    T* const y = o.y.data + o.sequences.begin(s) * width;
    const Index count = o.sequences.length(s) * width;
    if (o.draws.probability <= 0.0) {
      std::memcpy(y, x, count * sizeof(T));
      return;
    }
    for (Index i = 0; i < count; i += 4) {
      const auto words = o.draws.words(s, i / 4);
      for (Index j = i; j < std::min(i + 4, count); ++j) {
        store(y, j, o.draws.keeps(words[j - i]) ? load(x, j) * rescale : 0.0F);
      }
    }
  });
}

}  // namespace radapt
