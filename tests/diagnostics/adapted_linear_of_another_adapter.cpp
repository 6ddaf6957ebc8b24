// expect-error: an AdaptedLinear is made of a Named Linear and a Named FullAdapter
#include "radapt/adapter/adapted_linear.hpp"

using namespace radapt;
using Layer = AdaptedLinear<Named<"out_proj", Linear<64, 64>>, Named<"adapter", LowRankAdapter<64, 8>>>;
static_assert(sizeof(Layer) > 0);
