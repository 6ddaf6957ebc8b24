/// Gradients, plans and buffers of the adapters, with every row and with some, in training and in evaluation.
#include <cstdint>

#include "layer/check.hpp"
#include "radapt/adapter/r_adapter.hpp"

using namespace radapt;
using radapt_test::passes;

namespace {

// Entries for three sequences, one batch, or six positions: the packed batch has the longest sequence.
constexpr std::uint8_t some[] = {1, 0, 1, 1, 0, 1}, none[] = {0, 0, 0, 0, 0, 0};
const std::uint8_t* const some_kept[] = {some};
const std::uint8_t* const none_kept[] = {none};

Phase training(DropGranularity granularity, const std::uint8_t* const* masks) {
  return {.training = true, .adapter_drop = 0.3, .granularity = granularity, .given_masks = masks};
}

/// In evaluation with two scales, without dropping, with drawn masks and with given ones of every granularity.
template <class Adapter>
void passes_in_every_phase() {
  using X = Tokens<Adapter::input_width>;
  const auto with = [](const Phase& phase) { passes<Adapter, X>({.phase = phase}); };
  with({.adapter_alpha = 1});
  with({.adapter_alpha = 0.4});
  with({.training = true});
  for (int g = 0; g < 3; ++g) {
    const auto granularity = static_cast<DropGranularity>(g);
    CAPTURE(granularity);
    with(training(granularity, nullptr));
    with(training(granularity, some_kept));
    with(training(granularity, none_kept));
  }
}

}  // namespace

TEST_CASE("full adapter") { passes_in_every_phase<FullAdapter<5>>(); }
TEST_CASE("full adapter without a scale") { passes_in_every_phase<FullAdapter<5, role::adapter, no_scale>>(); }
TEST_CASE("low-rank adapter") { passes_in_every_phase<LowRankAdapter<5, 2>>(); }
TEST_CASE("low-rank adapter without a scale") {
  passes_in_every_phase<LowRankAdapter<5, 2, role::adapter, no_scale>>();
}
