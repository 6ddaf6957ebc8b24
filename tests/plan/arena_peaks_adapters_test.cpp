/// As arena_peaks_test.cpp, for CLIP with adapters.
#include "plan/passes.hpp"

using namespace radapt;
using namespace radapt_test;

TEST_CASE("CLIP with full adapters takes what is planned") {
  run_both_towers<Adapted, tune::everything, OnlyAdapter, OnlyNorm, tune::nothing>();
}
TEST_CASE("CLIP with low-rank adapters takes what is planned") {
  run_both_towers<Clip<Small, RAdapter<low_rank<2>>>, tune::everything, OnlyAdapter, tune::nothing>();
}
TEST_CASE("CLIP with adapters in one tower takes what is planned") {
  using Model = Clip<Small, RAdapter<full, no_scale, only_tower<role::tower::image>>>;
  run_images<Model, OnlyAdapter>();
  const counting text = run_captions<Model, OnlyAdapter>();
  CHECK(text.count("backward add") == 0);
}
TEST_CASE("tuning adapters ends at the first of them") {
  const counting adapters = run_images<Adapted, OnlyAdapter>();
  CHECK(adapters.count("backward linear_backward_weight") == 6);
  CHECK(adapters.count("backward scaled_add_backward_scale") == 6);
  CHECK(adapters.count("backward linear_backward_bias") == 0);
  CHECK(adapters.count("backward layer_norm_backward_weight") == 0);
  CHECK(adapters.count("backward attention_backward") == 1);         // of three blocks, not in the first and the last
  CHECK(adapters.count("backward pooled_attention_backward") == 1);  // in the last
  CHECK(adapters.count("backward layer_norm_backward_input") == 6);  // not ln_pre and the first ln_1, but ln_post
}
