#include "radapt/clip/clip.hpp"

using namespace radapt;
using Model = Clip<arch::ViT_B_32, NoAdapter, unlock_last<12>>;
static_assert(Model::Image::output<Model::PixelRow>::width == 512);
