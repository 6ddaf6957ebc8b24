/// Gradients and training runs of tiny_clip_gelu in double on the reference backend.
#include "cases/reference_kernels.hpp"
#include "clip/training_parity.hpp"

using namespace radapt_test;

namespace {
using Gradients = GradientParity<TinyGelu, radapt::reference, double>;
using Training = TrainingParity<TinyGelu, radapt::reference, double>;
}  // namespace

TEST_CASE("gelu, double: gradients of the contrastive loss") { Gradients{}.info_nce(); }
TEST_CASE("gelu, double: gradients of cross entropy on a head") { Gradients{}.cross_entropy(); }
TEST_CASE("gelu, double: gradients of full-rank R-Adapter") { Gradients{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("gelu, double: gradients of low-rank R-Adapter") {
  Gradients{}.r_adapter<radapt::low_rank<TinyGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("gelu, double: training full-rank R-Adapter") { Training{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("gelu, double: training low-rank R-Adapter") {
  Training{}.r_adapter<radapt::low_rank<TinyGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("gelu, double: full fine-tuning and WiSE-FT") { Training{}.full_fine_tuning(); }
