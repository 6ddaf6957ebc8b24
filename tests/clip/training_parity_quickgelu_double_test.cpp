/// Gradients and training runs of tiny_clip_quickgelu in double on the reference backend.
#include "cases/reference_kernels.hpp"
#include "clip/training_parity.hpp"

using namespace radapt_test;

namespace {
using Gradients = GradientParity<TinyQuickGelu, radapt::reference, double>;
using Training = TrainingParity<TinyQuickGelu, radapt::reference, double>;
}  // namespace

TEST_CASE("quickgelu, double: gradients of the contrastive loss") { Gradients{}.info_nce(); }
TEST_CASE("quickgelu, double: gradients of cross entropy on a head") { Gradients{}.cross_entropy(); }
TEST_CASE("quickgelu, double: gradients of full-rank R-Adapter") {
  Gradients{}.r_adapter<radapt::full>("r_adapter_full");
}
TEST_CASE("quickgelu, double: gradients of low-rank R-Adapter") {
  Gradients{}.r_adapter<radapt::low_rank<TinyQuickGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("quickgelu, double: training full-rank R-Adapter") { Training{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("quickgelu, double: training low-rank R-Adapter") {
  Training{}.r_adapter<radapt::low_rank<TinyQuickGelu::rank>>("r_adapter_low_rank");
}
