#include "radapt/layer/linear.hpp"
#include "radapt/layer/pool.hpp"
#include "radapt/layer/pooled_residual.hpp"
#include "radapt/layer/sequential.hpp"

using namespace radapt;
using Layer = PooledResidual<Pooling::first, Sequential<Pool<Pooling::first>, Named<"out_proj", Linear<8, 8>>>>;
static_assert(Layer::output<Tokens<8>>::width == 8);
