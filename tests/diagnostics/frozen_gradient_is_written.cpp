// expect-error: no member named [^ ]*data
#include "radapt/layer/linear.hpp"

namespace {

using Layer = radapt::Linear<4, 4>;
template <class Tune>
float first(radapt::Gradients<Layer, Tune, float>& gradients) {
  return *gradients.weight.data;
}

}  // namespace

float (*use)(radapt::Gradients<Layer, radapt::tune::nothing, float>&) = first<radapt::tune::nothing>;
