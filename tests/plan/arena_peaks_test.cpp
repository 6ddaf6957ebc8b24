/// The planned bytes are the peaks of the arena, for whole towers under every policy, and no operation runs that the
/// policy does not need.
#include "plan/passes.hpp"

using namespace radapt;
using namespace radapt_test;

TEST_CASE("plain CLIP takes what is planned") {
  run_both_towers<Plain, tune::everything, OnlyNorm, OnlyImage, OnlyProjection, ButEmbedding, tune::nothing>();
}
TEST_CASE("CLIP with an unlocked block takes what is planned") {
  run_both_towers<Unlocked, tune::everything, OnlyUnlocked>();
}
TEST_CASE("a classifier takes what is planned") {
  using Model = Classifier<Plain>;
  const auto run = [](auto tune) {
    return run_tower<Model, Model::PixelRow, decltype(tune)>(Model::image_sequences(3));
  };
  run(tune::everything{});
  run(tune::nothing{});
  const counting head = run(tune::only<role::head>{});
  CHECK(head.count("backward linear_backward_weight") == 1);
  CHECK(head.count("backward linear_backward_input") == 0);
}

// Three blocks of four linear layers, three norms more, the patch embedding and the projection.
TEST_CASE("full fine-tuning computes every gradient") {
  const counting all = run_images<Plain, tune::everything>();
  CHECK(all.count("backward linear_backward_weight") == 3 * 4 + 2);
  CHECK(all.count("backward linear_backward_bias") == 3 * 4 + 1);  // in the last block of queries and values apart
  CHECK(all.count("backward layer_norm_backward_weight") == 3 * 2 + 2);
  CHECK(all.count("backward attention_backward") == 2);
  CHECK(all.count("backward pooled_attention_backward") == 1);
  CHECK(all.count("backward assemble_tokens_backward") == 1);
}
TEST_CASE("tuning norms computes no gradient of a matrix") {
  const counting norms = run_images<Plain, OnlyNorm>();
  CHECK(norms.count("backward linear_backward_weight") == 0);
  CHECK(norms.count("backward linear_backward_bias") == 0);
  CHECK(norms.count("backward layer_norm_backward_weight") == 3 * 2 + 2);
  CHECK(norms.count("backward layer_norm_backward_input") == 3 * 2 + 1);  // not below ln_pre
}
TEST_CASE("inference launches no operation of backward and asks for no statistics") {
  const counting inference = run_images<Plain, tune::nothing>();
  CHECK(inference.count("layer_norm_forward") == 3 * 2 + 2);
  for (const auto& launched : inference.launched) {
    INFO(launched.first);
    CHECK(launched.first.find("backward") == (launched.first == "linear_backward_input" ? 7 : std::string::npos));
  }
  CHECK(inference.count("linear_backward_input") == 1);  // the projection is x P: the product of that name
}
