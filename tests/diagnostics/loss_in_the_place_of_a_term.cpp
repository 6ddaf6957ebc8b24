// expect-error: this_is_no_term<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::Contrastive, radapt::loss::CrossEntropy>);
