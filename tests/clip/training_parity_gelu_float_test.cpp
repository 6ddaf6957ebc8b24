/// Gradients and training runs of tiny_clip_gelu in float on the onednn backend.
#include "clip/training_parity.hpp"
#include "radapt/backend/onednn/all.hpp"

using namespace radapt_test;

namespace {
using Gradients = GradientParity<TinyGelu, radapt::onednn, float>;
using Training = TrainingParity<TinyGelu, radapt::onednn, float>;
}  // namespace

TEST_CASE("gelu, float: gradients of the contrastive loss") { Gradients{}.info_nce(); }
TEST_CASE("gelu, float: gradients of cross entropy on a head") { Gradients{}.cross_entropy(); }
TEST_CASE("gelu, float: gradients of full-rank R-Adapter") { Gradients{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("gelu, float: gradients of low-rank R-Adapter") {
  Gradients{}.r_adapter<radapt::low_rank<TinyGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("gelu, float: training full-rank R-Adapter") { Training{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("gelu, float: training low-rank R-Adapter") {
  Training{}.r_adapter<radapt::low_rank<TinyGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("gelu, float: full fine-tuning and WiSE-FT") { Training{}.full_fine_tuning(); }
