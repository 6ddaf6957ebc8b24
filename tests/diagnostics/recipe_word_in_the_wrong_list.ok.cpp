#include "radapt/train/recipe.hpp"

constexpr auto size = sizeof(radapt::ensemble::During<radapt::AdapterDrop, radapt::Accumulate>) +
                      sizeof(radapt::ensemble::After<radapt::Rescale>);
