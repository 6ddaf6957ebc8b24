// expect-error: no_list_of_words_for_training<
#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// Rescale would never act, and nothing would be dropped.
constexpr auto size =
    sizeof(radapt::Recipe<radapt::Clip<Small, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                          radapt::ensemble::After<radapt::Rescale>, radapt::ensemble::During<radapt::AdapterDrop>,
                          radapt::loss::MpmNce>);
