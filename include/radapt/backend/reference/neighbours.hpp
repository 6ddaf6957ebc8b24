#pragma once
/// Reference kernel of op/neighbours.hpp.
#include <algorithm>
#include <functional>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/neighbours.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::kth_neighbour<T>& o) {
  using namespace detail::eigen;
  RowMajor<T> cosines(1, extent(o.set.rows));
  for (Index i = 0; i < o.x.rows; ++i) {
    cosines.noalias() = map(o.x).row(extent(i)) * map(o.set).transpose();
    T* const begin = cosines.data();
    std::nth_element(begin, begin + (o.k - 1), begin + o.set.rows, std::greater<T>());
    o.distances.data[i] = op::squared_distance(static_cast<double>(begin[o.k - 1]));
  }
}

}  // namespace radapt
