/// Says that the tests of this program ran on emulated tile registers, or why they did not.
#include <doctest/doctest.h>

#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"

TEST_CASE("bf16 runs on emulated tile registers") {
#ifdef RADAPT_HAS_AVX512
  namespace tiles = radapt::detail::bf16_tiles;
  if (!tiles::available()) {
    MESSAGE("not run: no AVX512-BF16, which the code around tile registers is compiled for");
    return;
  }
  REQUIRE(tiles::has_tile_registers());
  radapt::onednn_bf16 device;
  std::vector<radapt::bf16> x(40 * 64, radapt::bf16(1.0F)), y(40 * 64);
  const std::vector<float> weight(64 * 64, 1.0F);
  const long before = radapt_test::emulated_tiles::products;
  launch(device, radapt::op::linear_forward<radapt::bf16>{
                     .y = {y.data(), 40, 64}, .x = {x.data(), 40, 64}, .weight = {weight.data(), 64, 64}});
  CHECK(radapt_test::emulated_tiles::products > before);
  CHECK(static_cast<float>(y[40 * 64 - 1]) == 64.0F);
#else
  MESSAGE("not run: this compiler has no AVX512-BF16");
#endif
}
