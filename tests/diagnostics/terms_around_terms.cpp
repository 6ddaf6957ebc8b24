// expect-error: the_base_has_terms_already<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::With<radapt::loss::Contrastive, radapt::loss::TowardBase>,
                                                radapt::loss::Orthogonality>);
