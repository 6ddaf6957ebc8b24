// expect-error: unlock_last names more blocks than a tower has
#include "radapt/clip/clip.hpp"

using namespace radapt;
using Model = Clip<arch::ViT_B_32, NoAdapter, unlock_last<13>>;
static_assert(Model::Image::output<Model::PixelRow>::width == 512);
