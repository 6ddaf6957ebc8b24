#pragma once
/// Reference kernel of op/dropout.hpp.
#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/dropout.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::dropout<T>& o) {
  const T rescale = static_cast<T>(1.0 / (1.0 - o.draws.probability));
  for (Index s = 0; s < o.sequences.count; ++s) {
    const Index first = o.sequences.begin(s) * o.y.columns, count = o.sequences.length(s) * o.y.columns;
    for (Index i = 0; i < count; ++i) {
      const bool kept = o.draws.keeps(o.draws.words(s, i / 4)[i % 4]);
      o.y.data[first + i] = kept ? o.x.data[first + i] * rescale : T{0};
    }
  }
}

}  // namespace radapt
