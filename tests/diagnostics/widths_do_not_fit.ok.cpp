#include "radapt/layer/activation.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/sequential.hpp"

using namespace radapt;
using Chain = Sequential<Named<"c_fc", Linear<64, 256>>, QuickGelu, Named<"c_proj", Linear<256, 64>>>;
using Output = Chain::output<Tokens<64>>;
