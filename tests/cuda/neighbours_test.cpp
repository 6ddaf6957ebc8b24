/// VRF's distances on the GPU: the set and the rows come from the host, the distances go back to it.
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/core/random.hpp"
#include "radapt/ensemble/failure_set.hpp"
#include "support/progress_text.hpp"
#include "support/tolerance.hpp"

using radapt::Index;

TEST_CASE_TEMPLATE("cuda: distances to a failure set are those of the host", Backend, radapt::cuda, radapt::cuda_bf16) {
  constexpr Index size = 150, queries = 9, width = 24;
  radapt::Random random(1);
  const auto draw = [&](Index n) {
    std::vector<float> x(n);
    for (float& value : x) { value = static_cast<float>(random.normal()); }
    return x;
  };
  std::vector<Index> places(size);
  std::iota(places.begin(), places.end(), Index{0});
  const radapt::FailureSet<float> failures(draw(size * width), width, places, size);
  std::vector<float> test = draw(queries * width);
  std::copy_n(failures.rows().begin(), width, test.begin());
  radapt::Context<Backend> context;
  for (const Index k : {Index{1}, Index{12}, size}) {
    CAPTURE(k);
    const auto of = [&](auto&&... on) {
      return failures.distances(on..., radapt::rows_of(test, width), k, radapt::FeatureDistance::squared_l2,
                                radapt_test::quiet());
    };
    const std::vector<double> expected = of(), got = of(context);
    // The rounding of a cosine of 24 products, twice; bf16 factors would be off by 1e-3.
    CHECK(radapt_test::normalised_error(got, expected) < 1e-6);
    CHECK((k > 1 || got[0] < 1e-6));
  }
}
