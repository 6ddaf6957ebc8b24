#include "radapt/train/recipes.hpp"

constexpr auto size =
    sizeof(radapt::loss::With<radapt::loss::Contrastive, radapt::loss::TowardBase, radapt::loss::Orthogonality>);
