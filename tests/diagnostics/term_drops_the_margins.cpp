// expect-error: the_margins_of_the_loss_would_be_lost<
#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::MarginMetricSoftmax, radapt::loss::SpuriousAlignment>);
