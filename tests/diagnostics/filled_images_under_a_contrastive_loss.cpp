// expect-error: the_term_reads_images_of_a_loss_with_a_head<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::Contrastive, radapt::loss::MaskedDistillation>);
