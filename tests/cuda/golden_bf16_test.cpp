/// The golden values of tiny_clip_quickgelu on cuda_bf16.
#include "clip/golden_bf16.hpp"
#include "radapt/backend/cuda/all.hpp"

namespace {
using Golden = radapt_test::GoldenBf16<radapt::cuda_bf16>;
}

TEST_CASE("cuda_bf16: golden features and zero-shot head") { Golden::features(); }
TEST_CASE("cuda_bf16: golden gradients of the contrastive loss") { Golden::info_nce(); }
TEST_CASE("cuda_bf16: golden gradients of cross entropy on a head") { Golden::cross_entropy(); }
TEST_CASE("cuda_bf16: golden gradients of full-rank R-Adapter") { Golden::r_adapter(); }
TEST_CASE("cuda_bf16: the golden run of full-rank R-Adapter") { Golden::training(); }
