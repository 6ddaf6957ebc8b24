/// The stand-in for a GPU itself: warp operations and products of a warp are what CUDA says they are. And what a call
/// copies, which only the stand-in can count.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include <doctest/doctest.h>

#include "cases/embed.hpp"
#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/cuda/kernels/tensor_core.cuh"
#include "radapt/backend/cuda/kernels/warp.cuh"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/task/dense_features.hpp"
#include "radapt/task/tip_adapter.hpp"
#include "radapt/train/attention_relevance.hpp"
#include "train/small_pairs.hpp"

namespace {

namespace gpu = radapt::detail::gpu;
using radapt::Index;
using radapt_test::on_host::Counts;

void run(dim3 blocks, unsigned threads, const std::function<void()>& body) {
  radapt_test::on_host::Block::current().run(blocks, threads, body);
}

}  // namespace

TEST_CASE("on_host: threads, blocks and warp operations") {
  std::vector<unsigned> seen(3 * 2 * 96, 0);
  run(dim3(3, 2), 96, [&] { seen[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x] += 1; });
  CHECK(std::all_of(seen.begin(), seen.end(), [](unsigned n) { return n == 1; }));

  std::vector<unsigned> partner(64), third(64);
  std::vector<int> sums(64), most(64);
  run(dim3(1), 64, [&] {
    const unsigned t = threadIdx.x;
    partner[t] = __shfl_xor_sync(gpu::whole_warp, t, 5);
    third[t] = __shfl_sync(gpu::whole_warp, t, 3);
    sums[t] = gpu::block_sum<64>(static_cast<int>(t));
    most[t] = gpu::block_max<64>(static_cast<int>(t * 7 % 64));
  });
  for (unsigned t = 0; t < 64; ++t) {
    CHECK(partner[t] == (t ^ 5U));
    CHECK(third[t] == t / 32 * 32 + 3);
    CHECK(sums[t] == 63 * 64 / 2);
    CHECK(most[t] == 63);
  }
}

TEST_CASE("on_host: a write before a barrier is read behind it, in either order of the warps") {
  std::vector<int> shared(128), read(128);
  for (int round = 0; round < 2; ++round) {
    run(dim3(1), 128, [&] {
      shared[threadIdx.x] = static_cast<int>(threadIdx.x) + round;
      __syncthreads();
      read[threadIdx.x] = shared[127 - threadIdx.x];
    });
    for (int t = 0; t < 128; ++t) { CHECK(read[static_cast<std::size_t>(t)] == 127 - t + round); }
  }
}

TEST_CASE("on_host: a product of a warp is that of the two matrices that its fragments spell") {
  float a[16][16], b[16][8], c[16][8] = {};
  radapt::Random random(3);
  const auto draw = [&](float& x) { x = radapt::bf16(static_cast<float>(random.uniform(-1, 1))); };
  for (auto& row : a) { std::for_each(row, row + 16, draw); }
  for (auto& row : b) { std::for_each(row, row + 8, draw); }
  run(dim3(1), 32, [&] {
    const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    std::uint32_t left[4], right[2];
    for (unsigned i = 0; i < 4; ++i) {
      const float* const at = &a[g + i % 2 * 8][2 * t + i / 2 * 8];
      left[i] = gpu::pack_bf16(at[0], at[1]);
    }
    for (unsigned i = 0; i < 2; ++i) { right[i] = gpu::pack_bf16(b[2 * t + i * 8][g], b[2 * t + i * 8 + 1][g]); }
    float sums[4] = {1, 1, 1, 1};
    gpu::multiply_accumulate(sums, left, right);
    for (unsigned i = 0; i < 4; ++i) { c[g + i / 2 * 8][2 * t + i % 2] = sums[i]; }
  });
  for (Index i = 0; i < 16; ++i) {
    for (Index j = 0; j < 8; ++j) {
      double expected = 1;
      for (Index k = 0; k < 16; ++k) { expected += static_cast<double>(a[i][k]) * static_cast<double>(b[k][j]); }
      CHECK(static_cast<double>(c[i][j]) == doctest::Approx(expected).epsilon(1e-6));  // rounded to float once
    }
  }
}

TEST_CASE("on_host: four matrices of a warp are spread over its lanes, as they are and transposed") {
  alignas(16) std::uint16_t x[4][8][8];
  for (unsigned m = 0; m < 4; ++m) {
    for (unsigned r = 0; r < 8; ++r) {
      for (unsigned c = 0; c < 8; ++c) { x[m][r][c] = static_cast<std::uint16_t>(100 * m + 10 * r + c); }
    }
  }
  std::uint32_t plain[32][4], transposed[32][4];
  run(dim3(1), 32, [&] {
    const unsigned lane = threadIdx.x;
    const auto* const row = reinterpret_cast<const std::uint32_t*>(x[lane / 8][lane % 8]);
    gpu::load_matrices(plain[lane], row);
    gpu::load_transposed_matrices(transposed[lane], row);
  });
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned m = 0; m < 4; ++m) {
      const unsigned first = 100 * m + 10 * g + 2 * t, below = 100 * m + 10 * 2 * t + g;
      CHECK(plain[lane][m] == (first | (first + 1) << 16));
      CHECK(transposed[lane][m] == (below | (below + 10) << 16));
    }
  }
}

TEST_CASE("cuda: token ids and offsets are copied when they are new, and not for every layer") {
  radapt::cuda device;
  const auto copies = [&](const std::vector<std::int32_t>& ids) {
    radapt::Buffer<float> table(10 * 4, radapt::cuda::memory()), positions(8 * 4, radapt::cuda::memory()),
        y(ids.size() * 4, radapt::cuda::memory());
    const std::vector<Index> offsets{0, 2, ids.size()};
    const Index before = Counts::all().copies_to_device;
    launch(device, radapt::op::embed_tokens_forward<float>{.y = {y.data(), ids.size(), 4},
                                                           .ids = ids.data(),
                                                           .table = {table.data(), 10, 4},
                                                           .positions = {positions.data(), 8, 4},
                                                           .sequences = {.count = 2, .offsets = offsets.data()}});
    return Counts::all().copies_to_device - before;
  };
  const std::vector<std::int32_t> ids{1, 2, 3, 4, 5}, others{1, 2, 3, 4, 6};
  CHECK(copies(ids) == 2);
  CHECK(copies(ids) == 0);
  CHECK(copies(std::vector<std::int32_t>(ids)) == 0);  // by content, not by address
  CHECK(copies(others) == 1);
  CHECK(copies(ids) == 0);
}

TEST_CASE("cuda: what features are made with lies on the GPU: a call copies what it is given, and nothing else") {
  using radapt_test::SmallArch;
  using Clip = radapt::Clip<SmallArch>;
  using Classifier = radapt::Classifier<Clip>;
  constexpr Index images = 2, classes = 3, embed = SmallArch::embed;
  const auto copies = [](auto&& call) {
    call();  // the first one may copy what stays
    const Index before = Counts::all().copies_to_device;
    call();
    return Counts::all().copies_to_device - before;
  };
  radapt::Weights<Clip> clip;
  radapt::initialise_clip(clip, 1);
  const std::vector<float> pixels(images * Clip::PixelRow::width, 0.5F), head(classes * embed, 0.25F);
  const std::vector<std::int32_t> labels{2, 0};

  radapt::task::DenseSession<Clip, radapt::cuda> dense(clip, images);
  std::vector<float> features(images * dense.patches * embed);
  CHECK(copies([&] { dense.encode(pixels, features); }) == 1);

  const radapt::Weights<Classifier> weights(radapt::zero_shot_classifier(clip, head), radapt::cuda::memory());
  radapt::AttentionRelevance<Classifier, radapt::cuda> of(classes, images);
  std::vector<float> relevance(images * of.patches);
  // Patches are taken out of the pixels twice, there and back.
  CHECK(copies([&] { of(weights.tree(), pixels, labels, relevance); }) == 2);

  // The features, and twice what they are when they have length 1.
  radapt::task::TipAdapter<radapt::cuda> tip(radapt::task::cache_keys(head, 1, embed),
                                             std::vector<std::int32_t>{0, 1, 2}, head, classes, embed);
  CHECK(copies([&] { tip.logits(std::span(features).first(images * embed)); }) == 3);
}
