#pragma once
/// How many threads the loops of the backends use.
#ifdef _OPENMP
#include <omp.h>
#endif

namespace radapt_test {

/// Without OpenMP the loops of a backend have one thread in any case.
inline void use_threads([[maybe_unused]] int n) {
#ifdef _OPENMP
  omp_set_num_threads(n);
#endif
}

}  // namespace radapt_test
