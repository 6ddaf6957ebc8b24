// expect-error: two_terms_follow_averages<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::Contrastive, radapt::loss::SelfDistillation,
                                                radapt::loss::FromAverage<radapt::loss::SpuriousAlignment>>);
