#include "radapt/adapter/adapted_linear.hpp"

using namespace radapt;
using Layer = AdaptedLinear<Named<"out_proj", Linear<64, 64>>, Named<"adapter", FullAdapter<64>>>;
static_assert(sizeof(Layer) > 0);
