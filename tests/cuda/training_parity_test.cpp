/// Gradients and training runs of tiny_clip_quickgelu against the PyTorch oracle, in float on the cuda backend.
#include "clip/training_parity.hpp"
#include "radapt/backend/cuda/all.hpp"

using namespace radapt_test;

namespace {
using Gradients = GradientParity<TinyQuickGelu, radapt::cuda, float>;
using Training = TrainingParity<TinyQuickGelu, radapt::cuda, float>;
}  // namespace

TEST_CASE("cuda: gradients of the contrastive loss") { Gradients{}.info_nce(); }
TEST_CASE("cuda: gradients of cross entropy on a head") { Gradients{}.cross_entropy(); }
TEST_CASE("cuda: gradients of full-rank R-Adapter") { Gradients{}.r_adapter<radapt::full>("r_adapter_full"); }
TEST_CASE("cuda: gradients of low-rank R-Adapter") {
  Gradients{}.r_adapter<radapt::low_rank<TinyQuickGelu::rank>>("r_adapter_low_rank");
}
TEST_CASE("cuda: training full-rank R-Adapter") { Training{}.r_adapter<radapt::full>("r_adapter_full"); }
