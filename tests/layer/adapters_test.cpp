/// Gradients, plans and buffers of the adapters, with every row and with some, in training and in evaluation.
#include <cstdint>

#include "layer/check.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/beside.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/adapter/rep_adapter.hpp"

using namespace radapt;
using radapt_test::passes;

namespace {

// Entries for three sequences, one batch, or six positions: the packed batch has the longest sequence.
constexpr std::uint8_t some[] = {1, 0, 1, 1, 0, 1}, none[] = {0, 0, 0, 0, 0, 0};
// For every site of the largest of these layers.
const std::uint8_t* const some_kept[] = {some, some, some};
const std::uint8_t* const none_kept[] = {none, none, none};

Phase training(DropGranularity granularity, const std::uint8_t* const* masks) {
  return {.training = true, .adapter_drop = 0.3, .granularity = granularity, .given_masks = masks};
}

/// A linear layer of three slices of two outputs, or of one of six, with LoRA of rank 2 on those that are named.
template <bool... Adapted>
using LoraOn = LoraLinear<5, 6, 2, detail::adapted_slices<Adapted...>, lora_scale, role::backbone, role::adapter,
                          role::adapter_constant>;

/// A linear layer with a bottleneck of four in two groups in front of it.
using RepAdapterOn = RepAdapterLinear<6, 5, 4, 2, role::backbone, role::adapter, role::adapter_constant>;

/// What an MLP branch is with AdaptFormer beside it, and what it would be beside an adapter behind it.
struct BesideLinear : Beside<Named<"main", Linear<5, 5>>,
                             Named<"branch", AdaptFormerBranch<5, 3, role::adapter, role::adapter_constant>>> {
  static constexpr Index input_width = 5;
};
struct BesideAdapter : Beside<Sequential<Named<"main", Linear<5, 5>>, Named<"adapter", FullAdapter<5>>>,
                              Named<"branch", AdaptFormerBranch<5, 3, role::adapter, role::adapter_constant>>> {
  static constexpr Index input_width = 5;
};

/// In evaluation with two scales, without dropping, with drawn masks and with given ones of every granularity.
template <class Adapter>
void passes_in_every_phase() {
  using X = Tokens<Adapter::input_width>;
  const auto with = [](const Phase& phase) { passes<Adapter, X>({.phase = phase}); };
  with({.adapter_alpha = 1});
  with({.adapter_alpha = 0.4});
  with({.training = true});
  with({.training = true, .dropout = 0.4});
  with({.training = true, .adapter_drop = 0.3, .dropout = 0.4, .given_masks = some_kept});
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

TEST_CASE("LoRA on a linear layer") { passes_in_every_phase<LoraOn<true>>(); }
TEST_CASE("LoRA on slices of a linear layer") {
  passes_in_every_phase<LoraOn<true, false, true>>();
  passes_in_every_phase<LoraOn<false, true, false>>();
}

TEST_CASE("RepAdapter in front of a linear layer") { passes_in_every_phase<RepAdapterOn>(); }
TEST_CASE("AdaptFormer beside a linear layer") { passes_in_every_phase<BesideLinear>(); }
TEST_CASE("AdaptFormer beside a linear layer with an adapter") { passes_in_every_phase<BesideAdapter>(); }
TEST_CASE("dropout") { passes<Dropout, Tokens<5>>({.phase = {.training = true, .dropout = 0.4}}); }
