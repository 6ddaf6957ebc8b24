/// The architectures of clip_compat.md 1.1: parameters, tokens, widths of heads; and what R-Adapter adds to them. Types
/// only: nothing here allocates a weight.
#include <doctest/doctest.h>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"

using radapt::Clip;
using radapt::Index;
namespace arch = radapt::arch;

namespace {

/// Parameters of a CLIP in units of ten thousand, rounded: the two decimals of a figure in millions.
template <class Arch>
constexpr Index hundredths_of_a_million = (radapt::count<Clip<Arch>>() + 5000) / 10000;

// open_clip's profile table.
static_assert(hundredths_of_a_million<arch::ViT_S_32> == 6309);
static_assert(hundredths_of_a_million<arch::ViT_B_32> == 15128);
static_assert(hundredths_of_a_million<arch::ViT_B_16> == 14962);
static_assert(hundredths_of_a_million<arch::ViT_L_14> == 42762);
static_assert(hundredths_of_a_million<arch::ViT_L_14_336> == 42794);
static_assert(hundredths_of_a_million<arch::ViT_H_14> == 98611);
static_assert(hundredths_of_a_million<arch::ViT_H_14_378> == 98671);
static_assert(hundredths_of_a_million<arch::ViT_g_14> == 136668);
static_assert(hundredths_of_a_million<arch::ViT_bigG_14> == 253957);

/// Image tokens of a row of the table.
static_assert(Clip<arch::ViT_B_32>::image_tokens == 50);
static_assert(Clip<arch::ViT_B_16>::image_tokens == 197);
static_assert(Clip<arch::ViT_L_14>::image_tokens == 257);
static_assert(Clip<arch::ViT_L_14_336>::image_tokens == 577);
static_assert(Clip<arch::ViT_H_14_378>::image_tokens == 730);

/// A row of the table, as numbers.
struct Row {
  Index embed, image, patch;
  radapt::TowerSize vision;
  Index head_width;
  radapt::TowerSize text;
};
constexpr bool same(const radapt::TowerSize& a, const radapt::TowerSize& b) {
  return a.width == b.width && a.heads == b.heads && a.layers == b.layers && a.hidden == b.hidden;
}

/// Parameters of one block: two norms, attention, MLP, every linear layer with a bias.
constexpr Index block_parameters(const radapt::TowerSize& t) {
  return 4 * t.width + 4 * t.width * t.width + 4 * t.width + 2 * t.width * t.hidden + t.hidden + t.width;
}
/// Parameters of a CLIP by its description (clip_compat.md 1.2), to hold the tree against.
constexpr Index parameters(const Row& r) {
  const Index grid = r.image / r.patch, v = r.vision.width, t = r.text.width;
  const Index vision = v + 3 * r.patch * r.patch * v + (1 + grid * grid) * v + 2 * v +
                       r.vision.layers * block_parameters(r.vision) + 2 * v + v * r.embed;
  const Index text = 49408 * t + 77 * t + r.text.layers * block_parameters(r.text) + 2 * t + t * r.embed;
  return vision + text + 1;
}

template <class Arch>
constexpr bool is(const Row& r) {
  return Arch::embed == r.embed && Arch::image == r.image && Arch::patch == r.patch && same(Arch::vision, r.vision) &&
         same(Arch::text, r.text) && Arch::vision.width == Arch::vision.heads * r.head_width &&
         Arch::text.width == Arch::text.heads * 64 && Arch::context == 77 && Arch::vocabulary == 49408 &&
         Arch::activation == radapt::Activation::gelu && Arch::image % Arch::patch == 0 &&
         radapt::count<Clip<Arch>>() == parameters(r);
}

constexpr radapt::TowerSize vision_S{384, 6, 12, 1536}, vision_M{512, 8, 12, 2048}, vision_B{768, 12, 12, 3072},
    vision_B_plus{896, 14, 12, 3584}, vision_L{1024, 16, 24, 4096}, vision_H{1280, 16, 32, 5120},
    vision_g{1408, 16, 40, 6144}, vision_bigG{1664, 16, 48, 8192}, vision_e{1792, 16, 56, 15360};
constexpr radapt::TowerSize text_256{256, 4, 10, 1024}, text_384{384, 6, 12, 1536}, text_512{512, 8, 12, 2048},
    text_640{640, 10, 12, 2560}, text_768{768, 12, 12, 3072}, text_1024{1024, 16, 24, 4096},
    text_bigG{1280, 20, 32, 5120}, text_e{1280, 20, 36, 5120};

static_assert(is<arch::ViT_S_32>({384, 224, 32, vision_S, 64, text_384}));
static_assert(is<arch::ViT_S_16>({384, 224, 16, vision_S, 64, text_384}));
static_assert(is<arch::ViT_S_32_alt>({256, 224, 32, vision_S, 64, text_256}));
static_assert(is<arch::ViT_S_16_alt>({256, 224, 16, vision_S, 64, text_256}));
static_assert(is<arch::ViT_M_32>({512, 224, 32, vision_M, 64, text_512}));
static_assert(is<arch::ViT_M_16>({512, 224, 16, vision_M, 64, text_512}));
static_assert(is<arch::ViT_M_32_alt>({384, 224, 32, vision_M, 64, text_384}));
static_assert(is<arch::ViT_M_16_alt>({384, 224, 16, vision_M, 64, text_384}));
static_assert(is<arch::ViT_B_32>({512, 224, 32, vision_B, 64, text_512}));
static_assert(is<arch::ViT_B_32_256>({512, 256, 32, vision_B, 64, text_512}));
static_assert(is<arch::ViT_B_16>({512, 224, 16, vision_B, 64, text_512}));
static_assert(is<arch::ViT_B_16_plus>({640, 224, 16, vision_B_plus, 64, text_640}));
static_assert(is<arch::ViT_B_16_plus_240>({640, 240, 16, vision_B_plus, 64, text_640}));
static_assert(is<arch::ViT_B_32_plus_256>({640, 256, 32, vision_B_plus, 64, text_640}));
static_assert(is<arch::ViT_L_14>({768, 224, 14, vision_L, 64, text_768}));
static_assert(is<arch::ViT_L_14_280>({768, 280, 14, vision_L, 64, text_768}));
static_assert(is<arch::ViT_L_14_336>({768, 336, 14, vision_L, 64, text_768}));
static_assert(is<arch::ViT_L_16>({768, 224, 16, vision_L, 64, text_768}));
static_assert(is<arch::ViT_L_16_320>({768, 320, 16, vision_L, 64, text_768}));
static_assert(is<arch::ViT_H_14>({1024, 224, 14, vision_H, 80, text_1024}));
static_assert(is<arch::ViT_H_14_378>({1024, 378, 14, vision_H, 80, text_1024}));
static_assert(is<arch::ViT_H_16>({1024, 224, 16, vision_H, 80, text_1024}));
static_assert(is<arch::ViT_g_14>({1024, 224, 14, vision_g, 88, text_1024}));
static_assert(is<arch::ViT_bigG_14>({1280, 224, 14, vision_bigG, 104, text_bigG}));
static_assert(is<arch::ViT_e_14>({1280, 224, 14, vision_e, 112, text_e}));

static_assert(radapt::count<Clip<arch::quickgelu<arch::ViT_B_16>>>() == radapt::count<Clip<arch::ViT_B_16>>());
static_assert(arch::quickgelu<arch::ViT_B_16>::activation == radapt::Activation::quick_gelu);

/// Counted once for each model and policy: a compiler bounds how far it evaluates a single expression.
template <class Model, class Tune = radapt::tune::everything>
constexpr Index counted = radapt::count<Model, Tune>();

/// What R-Adapter trains: methods.md 1.9 counts F, or U and D, and two scales s for every block beside them.
template <class Arch, class Rank>
constexpr bool trains(Index matrices) {
  using Only = radapt::tune::only<radapt::role::adapter>;
  constexpr Index scales = 2 * (Arch::vision.layers + Arch::text.layers);
  using Learned = Clip<Arch, radapt::RAdapter<Rank>>;
  using Fixed = Clip<Arch, radapt::RAdapter<Rank, radapt::no_scale>>;
  return counted<Learned, Only> == matrices + scales && counted<Fixed, Only> == matrices &&
         counted<Learned> == counted<Clip<Arch>> + matrices + scales;
}
template <class Arch>
constexpr bool base_trains() {
  using radapt::low_rank;
  return trains<Arch, radapt::full>(20447232) && trains<Arch, low_rank<1>>(61440) &&
         trains<Arch, low_rank<4>>(245760) && trains<Arch, low_rank<8>>(491520) && trains<Arch, low_rank<16>>(983040) &&
         trains<Arch, low_rank<64>>(3932160) && trains<Arch, low_rank<128>>(7864320);
}
template <class Arch>
constexpr bool large_trains() {
  using radapt::low_rank;
  return trains<Arch, radapt::full>(64487424) && trains<Arch, low_rank<1>>(135168) &&
         trains<Arch, low_rank<4>>(540672) && trains<Arch, low_rank<8>>(1081344) &&
         trains<Arch, low_rank<16>>(2162688) && trains<Arch, low_rank<64>>(8650752) &&
         trains<Arch, low_rank<128>>(17301504);
}
static_assert(base_trains<arch::ViT_B_32>() && base_trains<arch::ViT_B_16>());
static_assert(large_trains<arch::ViT_L_14>() && large_trains<arch::ViT_L_14_336>());

}  // namespace

TEST_CASE("counting parameters allocates nothing and agrees with the published totals") {
  // The static_asserts above hold or this file does not compile; here the same function runs, for whoever prints it.
  CHECK(radapt::count<Clip<arch::ViT_B_32>>() == 151277313);
  CHECK(radapt::count<Clip<arch::ViT_B_16, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>>() ==
        20447280);
}
