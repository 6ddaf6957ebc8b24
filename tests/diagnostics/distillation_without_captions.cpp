// expect-error: the_term_reads_captions_of_a_contrastive_loss<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::CrossEntropy, radapt::loss::SelfDistillation>);
