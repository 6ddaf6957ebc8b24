#pragma once
/// oneDNN kernel of op/neighbours.hpp: a product for a block of rows, and a selection in each of them.
#include <algorithm>
#include <functional>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/neighbours.hpp"

namespace radapt {

inline void launch(onednn& device, const op::kth_neighbour<float>& o) {
  using namespace detail::cpu;
  const Index n = o.set.rows, width = o.x.columns, at_once = op::rows_at_once(o);
  float* const cosines = device.workspace<float>(at_once * n);
  for (Index first = 0; first < o.x.rows; first += at_once) {
    const Index rows = std::min(at_once, o.x.rows - first);
    check_product(product(cosines, n, rows, n, width, {o.x.data + first * width, width}, {o.set.data, width, true}));
    parallel_for(rows, n, [&](Index i) {
      float* const row = cosines + i * n;
      std::nth_element(row, row + (o.k - 1), row + n, std::greater<float>());
      o.distances.data[first + i] = op::squared_distance(static_cast<double>(row[o.k - 1]));
    });
  }
}

}  // namespace radapt
