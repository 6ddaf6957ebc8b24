// expect-error: a word of this recipe is in the wrong list
#include "radapt/train/recipe.hpp"

// Rescale acts at deployment: among the words for training it would do nothing.
constexpr auto size = sizeof(radapt::ensemble::During<radapt::AdapterDrop, radapt::Rescale>);
