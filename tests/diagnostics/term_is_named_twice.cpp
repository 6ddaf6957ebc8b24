// expect-error: a_term_is_named_twice<
#include "radapt/train/recipes.hpp"

constexpr auto size =
    sizeof(radapt::loss::With<radapt::loss::CrossEntropy, radapt::loss::TowardBase, radapt::loss::TowardBase>);
