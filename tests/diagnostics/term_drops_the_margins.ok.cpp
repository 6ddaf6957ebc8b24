#include "radapt/train/recipes.hpp"

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::MarginMetricSoftmax, radapt::loss::TowardBase>);
