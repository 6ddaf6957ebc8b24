/// Index arithmetic that kernels share with the host.
#include <doctest/doctest.h>

#include "cases/batch.hpp"
#include "radapt/backend/cuda/kernels/rows.cuh"

using namespace radapt_test;
namespace gpu = radapt::detail::gpu;

TEST_CASE("every row finds its sequence, also behind empty ones") {
  for (const Batch& batch : {uniform(3, 6), packed({3, 1, 7, 2, 5}), packed({1}), packed({0, 2, 0, 0, 3, 1})}) {
    CAPTURE(batch.title());
    const radapt::Sequences s = batch.view();
    for (Index i = 0; i < s.count; ++i) {
      for (Index t = 0; t < s.length(i); ++t) { CHECK(gpu::sequence_of(s, s.begin(i) + t) == i); }
    }
  }
}

TEST_CASE("rows are kept as the runs of kept rows say") {
  for (const Mask& mask : masks()) {
    CAPTURE(mask.title());
    const radapt::op::KeptRows kept = mask.view();
    const Index rows = mask.batch.rows();
    std::vector<bool> expected(rows, false);
    radapt::op::for_each_kept_run(kept, rows, [&](Index begin, Index end) {
      for (Index r = begin; r < end; ++r) { expected[r] = true; }
    });
    Index wrong = 0;
    for (Index r = 0; r < rows; ++r) { wrong += gpu::keeps_row(kept, r) != expected[r] ? 1U : 0U; }
    CHECK(wrong == 0);
  }
}
