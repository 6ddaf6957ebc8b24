#pragma once
/// The sizes of CLIP models as types (clip_compat.md 1.1), under open_clip's names.
#include <type_traits>

#include "radapt/core/shape.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

/// Sizes of one transformer tower. `hidden` is the width inside the MLP.
struct TowerSize {
  Index width, heads, layers, hidden;
};

/// The sizes of a CLIP as a type: any of `arch`, or a struct of your own as arch::Defaults shows.
template <class A>
concept architecture = requires {
  requires(A::embed > 0 && A::image > 0 && A::patch > 0 && A::context > 0 && A::vocabulary > 0);
  requires std::is_convertible_v<decltype(A::activation), Activation>;
  requires std::is_convertible_v<decltype(A::vision), TowerSize>;
  requires std::is_convertible_v<decltype(A::text), TowerSize>;
};

namespace arch {

/// What all plain CLIPs share. An architecture is a type with these members and embed, image, patch, vision and text:
///
///     struct Mine : radapt::arch::Defaults {
///       static constexpr radapt::Index embed = 256, image = 96, patch = 16;
///       static constexpr radapt::TowerSize vision{384, 6, 8, 1536}, text{256, 4, 6, 1024};
///     };
struct Defaults {
  static constexpr Index context = 77;
  static constexpr Index vocabulary = 49408;
  static constexpr Activation activation = Activation::gelu;
};

/// The same sizes with QuickGELU: open_clip's `<name>-quickgelu`, which are all checkpoints of OpenAI, MetaCLIP's but
/// those of "altogether", DFN's but dfn2b_s39b, and laion400m on B/32 (clip_compat.md 1.2). Where a configuration lies
/// beside the weights, loading compares it.
template <class Arch>
struct quickgelu : Arch {
  static constexpr Activation activation = Activation::quick_gelu;
};

/// The same towers at another resolution; position embeddings are resized when weights are loaded.
template <class Arch, Index Image>
struct at_resolution : Arch {
  static constexpr Index image = Image;
};

struct ViT_S_32 : Defaults {
  static constexpr Index embed = 384, image = 224, patch = 32;
  static constexpr TowerSize vision{384, 6, 12, 1536}, text{384, 6, 12, 1536};
};
struct ViT_S_16 : ViT_S_32 {
  static constexpr Index patch = 16;
};
struct ViT_S_32_alt : Defaults {
  static constexpr Index embed = 256, image = 224, patch = 32;
  static constexpr TowerSize vision{384, 6, 12, 1536}, text{256, 4, 10, 1024};
};
struct ViT_S_16_alt : ViT_S_32_alt {
  static constexpr Index patch = 16;
};
struct ViT_M_32 : Defaults {
  static constexpr Index embed = 512, image = 224, patch = 32;
  static constexpr TowerSize vision{512, 8, 12, 2048}, text{512, 8, 12, 2048};
};
struct ViT_M_16 : ViT_M_32 {
  static constexpr Index patch = 16;
};
struct ViT_M_32_alt : Defaults {
  static constexpr Index embed = 384, image = 224, patch = 32;
  static constexpr TowerSize vision{512, 8, 12, 2048}, text{384, 6, 12, 1536};
};
struct ViT_M_16_alt : ViT_M_32_alt {
  static constexpr Index patch = 16;
};
struct ViT_B_32 : Defaults {
  static constexpr Index embed = 512, image = 224, patch = 32;
  static constexpr TowerSize vision{768, 12, 12, 3072}, text{512, 8, 12, 2048};
};
using ViT_B_32_256 = at_resolution<ViT_B_32, 256>;
struct ViT_B_16 : ViT_B_32 {
  static constexpr Index patch = 16;
};
struct ViT_B_16_plus : Defaults {
  static constexpr Index embed = 640, image = 224, patch = 16;
  static constexpr TowerSize vision{896, 14, 12, 3584}, text{640, 10, 12, 2560};
};
using ViT_B_16_plus_240 = at_resolution<ViT_B_16_plus, 240>;
struct ViT_B_32_plus_256 : ViT_B_16_plus {
  static constexpr Index image = 256, patch = 32;
};
struct ViT_L_14 : Defaults {
  static constexpr Index embed = 768, image = 224, patch = 14;
  static constexpr TowerSize vision{1024, 16, 24, 4096}, text{768, 12, 12, 3072};
};
using ViT_L_14_280 = at_resolution<ViT_L_14, 280>;
using ViT_L_14_336 = at_resolution<ViT_L_14, 336>;
struct ViT_L_16 : ViT_L_14 {
  static constexpr Index patch = 16;
};
using ViT_L_16_320 = at_resolution<ViT_L_16, 320>;
struct ViT_H_14 : Defaults {
  static constexpr Index embed = 1024, image = 224, patch = 14;
  static constexpr TowerSize vision{1280, 16, 32, 5120}, text{1024, 16, 24, 4096};
};
using ViT_H_14_378 = at_resolution<ViT_H_14, 378>;
struct ViT_H_16 : ViT_H_14 {
  static constexpr Index patch = 16;
};
struct ViT_g_14 : Defaults {
  static constexpr Index embed = 1024, image = 224, patch = 14;
  static constexpr TowerSize vision{1408, 16, 40, 6144}, text{1024, 16, 24, 4096};
};
struct ViT_bigG_14 : Defaults {
  static constexpr Index embed = 1280, image = 224, patch = 14;
  static constexpr TowerSize vision{1664, 16, 48, 8192}, text{1280, 20, 32, 5120};
};
struct ViT_e_14 : Defaults {
  static constexpr Index embed = 1280, image = 224, patch = 14;
  static constexpr TowerSize vision{1792, 16, 56, 15360}, text{1280, 20, 36, 5120};
};

}  // namespace arch
}  // namespace radapt
