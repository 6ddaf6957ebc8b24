#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::CrossEntropy, radapt::loss::TowardBase>);
