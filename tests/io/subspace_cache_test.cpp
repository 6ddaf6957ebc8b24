/// The cache of singular spaces: found by content, the same bits, written and read.
#include "radapt/io/subspace_cache.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/transfer.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"
#include "support/temporary_folder.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::RankRule;
using radapt::SubspaceCache;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 2, 24}, text{12, 2, 1, 20};
};

template <class W>
W drawn(std::uint64_t seed) {
  W weights;
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) {
        for (Index i = 0; i < leaf.size(); ++i) { leaf.data[i] = static_cast<float>(0.3 * random.normal()); }
      },
      weights.tree());
  return weights;
}
std::vector<float> numbers(Index size, std::uint64_t seed) {
  radapt::Random random(seed);
  std::vector<float> x(size);
  for (float& value : x) { value = static_cast<float>(random.normal()); }
  return x;
}
bool same(const radapt::Subspaces& a, const radapt::Subspaces& b) {
  return a.left == b.left && a.right == b.right && a.singular == b.singular;
}

}  // namespace

TEST_CASE("spaces are found by the content of a weight and the rule, and have the same bits") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "spaces.safetensors";
  auto values = numbers(30, 1);
  const radapt::Matrix<const float> weight(values.data(), 6, 5), turned(values.data(), 5, 6);
  const auto rule = RankRule::energy(0.8);
  const auto expected = radapt::leading_subspaces(weight, rule);
  {
    SubspaceCache cache(file);
    CHECK(same(cache(weight, rule), expected));
    CHECK(cache.computed() == 1);
    CHECK(same(cache(weight, rule), expected));
    CHECK(cache.found() == 1);
    cache(turned, rule);
    cache(weight, RankRule::energy(0.81));
    cache(weight, RankRule::tolerance(0.8));
    CHECK(cache.computed() == 4);
    cache.save();
  }
  SubspaceCache cache(file);
  CHECK(cache.size() == 4);
  CHECK(same(cache(weight, rule), expected));
  CHECK(cache.computed() == 0);
  const auto copy = values;
  CHECK(same(cache(radapt::Matrix<const float>(copy.data(), 6, 5), rule), expected));
  CHECK(cache.found() == 2);
  values[17] += 1e-6f;
  cache(weight, rule);
  CHECK(cache.computed() == 1);
}

TEST_CASE("a transfer between models gives the same bits with a cache") {
  const TemporaryFolder folder;
  using Adapted = radapt::Weights<radapt::Clip<Tiny, radapt::RAdapter<radapt::low_rank<2>>>>;
  using Plain = radapt::Weights<radapt::Clip<Tiny>>;
  const auto adapted = drawn<Adapted>(1);
  const auto target = drawn<Plain>(2);
  const radapt::AdapterTransferOptions options{.rank = RankRule::energy(0.8), .progress = quiet()};
  const auto plain = radapt::transfer_adapters(0.5, adapted, target, options);
  SubspaceCache cache(folder.path() / "spaces.safetensors");
  for (const Index found : {0u, 12u}) {
    const auto cached = radapt::transfer_adapters(0.5, adapted, target, options, cache);
    CHECK(std::equal(cached.weights.buffer().begin(), cached.weights.buffer().end(), plain.weights.buffer().begin()));
    CHECK(cache.computed() == 12);
    CHECK(cache.found() == found);
  }
}

TEST_CASE("a file of something else is not taken for a cache") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "text") << "not a file of tensors";
  CHECK_FALSE(error_of([&] { SubspaceCache(folder.path() / "text"); }).empty());
  const auto plain = folder.path() / "plain.safetensors";
  radapt::safetensors::write(plain, {}, {{"format", "pt"}});
  CHECK(fails_with("Delete it", [&] { SubspaceCache cache(plain); }));
  const std::vector<double> values(4, 1.0);
  const auto bytes = std::as_bytes(std::span<const double>(values));
  radapt::safetensors::write(plain,
                             {{"a.singular", {.dtype = radapt::safetensors::DType::F64, .shape = {4}, .data = bytes}}},
                             {{"radapt.subspaces", "1"}});
  CHECK(fails_with("no matrix 'a.left'", [&] { SubspaceCache cache(plain); }));
}
