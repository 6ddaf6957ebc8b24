/// Failure sets of VRF in files.
#include "radapt/io/failure_set_file.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "radapt/core/random.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"
#include "support/temporary_folder.hpp"

using namespace radapt_test;
using radapt::FailureSet;
using radapt::Index;

TEST_CASE_TEMPLATE("a failure set is read as it was written", T, float, double) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "failures.safetensors";
  radapt::Random random(1);
  std::vector<T> rows(5 * 4), test(3 * 4);
  for (T& x : rows) { x = static_cast<T>(random.normal()); }
  for (T& x : test) { x = static_cast<T>(random.normal()); }
  const FailureSet<T> set(rows, 4, {2, 3, 9, 11, 40}, 77);
  radapt::save_failure_set(path, set);
  const auto read = radapt::load_failure_set<T>(path);
  CHECK(read.indices() == set.indices());
  CHECK(read.samples() == 77);
  CHECK(read.width() == 4);
  const auto a = set.distances(radapt::rows_of(test, 4), 2, radapt::FeatureDistance::squared_l2, quiet());
  const auto b = read.distances(radapt::rows_of(test, 4), 2, radapt::FeatureDistance::squared_l2, quiet());
  // Rows of length 1 are scaled to length 1 once more, which may move their last bit.
  for (Index i = 0; i < a.size(); ++i) { CHECK(std::abs(a[i] - b[i]) < (sizeof(T) == 8 ? 1e-15 : 1e-6)); }

  const FailureSet<T> none(std::vector<T>{}, 4, {}, 10);
  radapt::save_failure_set(path, none);
  CHECK(radapt::load_failure_set<T>(path).empty());
  CHECK(radapt::load_failure_set<T>(path).samples() == 10);
}

TEST_CASE("a file of something else is no failure set") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "other.safetensors";
  radapt::safetensors::write(path, {}, {{"format", "pt"}});
  CHECK(fails_with("save_failure_set", [&] { radapt::load_failure_set<float>(path); }));
  const std::vector<float> values(4, 1.0f);
  const std::vector<std::int64_t> places{0, 1, 2};
  radapt::safetensors::write(path,
                             {{"features",
                               {.dtype = radapt::safetensors::DType::F32,
                                .shape = {2, 2},
                                .data = std::as_bytes(std::span<const float>(values))}},
                              {"indices",
                               {.dtype = radapt::safetensors::DType::I64,
                                .shape = {3},
                                .data = std::as_bytes(std::span<const std::int64_t>(places))}}},
                             {{"radapt.failure_set", "9"}});
  CHECK(fails_with("failure set", [&] { radapt::load_failure_set<float>(path); }));
}
