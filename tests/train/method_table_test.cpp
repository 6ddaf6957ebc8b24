/// The table of all named recipes in docs/methods.md: computed from the types, printed, and compared with the page.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/task/feature_recipes.hpp"
#include "radapt/train/recipes.hpp"

namespace {

using radapt::Index;
namespace recipe = radapt::recipe;
using Arch = radapt::arch::ViT_B_16;
constexpr Index classes = 1000;

const std::string head =
    "| method | type | trained parameters | in f32 | adapters merge | leaves |\n|---|---|---|---|---|---|\n";

std::string line(const std::string& method, const std::string& type, Index trained, const std::string& merges,
                 const std::string& leaves) {
  char size[32];
  std::snprintf(size, sizeof size, "%.1f MB", static_cast<double>(trained) * 4e-6);
  std::string digits = std::to_string(trained);
  for (std::size_t i = digits.size(); i > 3; i -= 3) { digits.insert(i - 3, ","); }
  return "| " + method + " | `" + type + "` | " + digits + " | " + size + " | " + merges + " | " + leaves + " |\n";
}

/// What there is when a run has been deployed.
template <class After>
std::string leaves() {
  if constexpr (After::template has<radapt::VarianceReduction>) {
    return "two models, a feature for each failure";
  } else if constexpr (After::template has<radapt::OutputEnsemble>) {
    return "two models";
  } else if constexpr (After::template has<radapt::Transfer>) {
    return "one model, of another base";
  } else if constexpr (After::template has<radapt::Soup>) {
    return "one model, of several runs";
  } else if constexpr (After::template has<radapt::Project>) {
    return "one model, a radius for each tensor";
  } else {
    return "one model";
  }
}

/// One row. `expected` is the number of parameters that are trained and stored, added up by hand from the sizes of
/// ViT-B/16 (768 x 12, 512 x 12, embed 512) and a head of 1000 classes.
template <class R>
std::string row(const std::string& method, const std::string& type, Index expected) {
  CAPTURE(method);
  using Model = typename R::trained;
  const Index trained = radapt::count<Model, typename R::tune>(classes);
  CHECK(trained == expected);
  const std::string merges = radapt::detail::adapts_features<typename R::model>()       ? "no"
                             : !radapt::detail::has_adapters<typename R::model>()       ? "has none"
                             : radapt::detail::has_linear_adapters<typename R::model>() ? "yes"
                                                                                        : "no";
  return line(method, type, trained, merges, leaves<typename R::after>());
}

constexpr Index image_tower = 86'192'640, text_tower = 63'428'096;  // clip_compat.md 1.1
constexpr Index clip = image_tower + text_tower + 1, head_parameters = 1000 * 512 + 1000;

using RsLora = recipe::lora<Arch, 16, radapt::on<radapt::site::in_proj, radapt::site::out_proj>,
                            radapt::loss::CrossEntropy, radapt::rank_stabilised_scale>;

/// Parameters of an adapter in each of the 24 blocks, where one in a block of width D has per_block(D).
template <class F>
constexpr Index in_all_blocks(F&& per_block) {
  return 12 * (per_block(Index{768}) + per_block(Index{512}));
}

/// The training samples are what it learns; Tip-Adapter-F trains them.
std::string rows_of_tip_adapter() {
  constexpr Index shots = 16 * classes;
  const std::vector<float> keys(shots * Arch::embed);  // of zeros: nothing is asked
  const std::vector<std::int32_t> labels(shots);
  const auto cache =
      recipe::tip_adapter<Arch>::cache<radapt::reference>(keys, labels, {}, classes, {.trained_keys = true});
  CHECK(cache.keys().size() == 8'192'000);
  const std::string type = "recipe::tip_adapter<Arch>", left = "the base, a feature for each shot";
  return line("Tip-Adapter, on features", type, 0, "no", left) +
         line("Tip-Adapter-F of 16 shots", type, cache.keys().size(), "no", left);
}

std::string table() {
  const auto full = [](Index d) { return 2 * (d * d + 1); };
  const auto rank_64 = [](Index d) { return 2 * (2 * 64 * d + 1); };
  const auto lora_of_q_and_v = [](Index d) { return 2 * 8 * (d + d); };
  // Cross entropy trains the image tower alone: adapters of the text tower are not in its model.
  const auto adapt_former = [](Index d) { return 64 * d + 64 + d * 64 + d; };
  const auto rep_adapter = [](Index d) { return 2 * (8 * d + 8 + d * 4 + d); };
  return head + row<recipe::r_adapter<Arch>>("R-Adapter", "recipe::r_adapter<Arch>", in_all_blocks(full)) +
         row<recipe::r_adapter<Arch, radapt::low_rank<64>>>(
             "R-Adapter of rank 64", "recipe::r_adapter<Arch, low_rank<64>>", in_all_blocks(rank_64)) +
         row<recipe::wise_ft<Arch>>("WiSE-FT", "recipe::wise_ft<Arch>", image_tower + head_parameters) +
         row<recipe::wise_ft_linear<Arch>>("WiSE-FT of the head", "recipe::wise_ft_linear<Arch>", head_parameters) +
         row<recipe::full_fine_tuning<Arch>>("full fine-tuning", "recipe::full_fine_tuning<Arch>",
                                             image_tower + head_parameters) +
         row<recipe::linear_probe<Arch>>("linear probe", "recipe::linear_probe<Arch>", head_parameters) +
         row<recipe::lp_ft<Arch>::tuning>("LP-FT, second run", "recipe::lp_ft<Arch>::tuning",
                                          image_tower + head_parameters) +
         row<recipe::flyp<Arch>>("FLYP", "recipe::flyp<Arch>", clip) +
         row<recipe::l2_sp<Arch>>("L2-SP", "recipe::l2_sp<Arch>", image_tower + head_parameters) +
         row<recipe::star_ft<Arch>>("StarFT", "recipe::star_ft<Arch>", clip) +
         row<recipe::star_ft<Arch, radapt::loss::CrossEntropy>>(
             "StarFT on cross entropy", "recipe::star_ft<Arch, loss::CrossEntropy>", clip + head_parameters) +
         row<recipe::carot<Arch>>("CaRot", "recipe::carot<Arch>", clip) +
         row<recipe::carot<Arch, radapt::loss::CrossFNorm>>("CaRot with cross_fnorm",
                                                            "recipe::carot<Arch, loss::CrossFNorm>", clip) +
         row<recipe::mask_fill<Arch>>("Mask-fill", "recipe::mask_fill<Arch>", image_tower + head_parameters) +
         row<recipe::mask_fill<Arch, radapt::loss::DroppedPatchDistillation>>(
             "Mask-fill, no fill", "recipe::mask_fill<Arch, loss::DroppedPatchDistillation>",
             image_tower + head_parameters) +
         row<recipe::clipood<Arch>>("CLIPood", "recipe::clipood<Arch>", image_tower) +
         row<recipe::lora<Arch>>("LoRA of rank 8 on q and v", "recipe::lora<Arch>",
                                 12 * lora_of_q_and_v(768) + head_parameters) +
         row<RsLora>(
             "rsLoRA of rank 16 on q, k, v and out_proj",
             "recipe::lora<Arch, 16, on<site::in_proj, site::out_proj>, loss::CrossEntropy, rank_stabilised_scale>",
             12 * 4 * 16 * (768 + 768) + head_parameters) +
         row<recipe::adapt_former<Arch>>("AdaptFormer", "recipe::adapt_former<Arch>",
                                         12 * adapt_former(768) + head_parameters) +
         row<recipe::rep_adapter<Arch>>("RepAdapter", "recipe::rep_adapter<Arch>",
                                        12 * rep_adapter(768) + head_parameters) +
         row<recipe::model_soup<Arch>>("model soup", "recipe::model_soup<Arch>", image_tower + head_parameters) +
         row<recipe::tpgm<Arch>>("TPGM", "recipe::tpgm<Arch>", image_tower + head_parameters) +
         row<recipe::ose<Arch>>("OSE", "recipe::ose<Arch>", image_tower + head_parameters) +
         row<recipe::vrf<Arch>>("VRF", "recipe::vrf<Arch>", image_tower + head_parameters) +
         row<recipe::pro_lora<Arch>>("ProLoRA of a LoRA", "recipe::pro_lora<Arch>",
                                     12 * (lora_of_q_and_v(768) + lora_of_q_and_v(512))) +
         row<recipe::pro_lora<Arch, recipe::r_adapter<Arch>>>(
             "ProLoRA of an R-Adapter", "recipe::pro_lora<Arch, recipe::r_adapter<Arch>>", in_all_blocks(full)) +
         row<recipe::clip_adapter<Arch>>("CLIP-Adapter, on features", "recipe::clip_adapter<Arch>", 2 * 512 * 128) +
         row<recipe::feature_probe<Arch>>("linear probe, on features", "recipe::feature_probe<Arch>", head_parameters) +
         rows_of_tip_adapter();
}

}  // namespace

TEST_CASE("docs/methods.md says what every recipe trains, stores and merges") {
  const std::string computed = table();
  std::printf("%s", computed.c_str());
  const std::string path = RADAPT_SOURCE_DIR "/docs/methods.md";
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  const std::string first = head.substr(0, head.find('\n'));
  std::string documented;
  for (std::string line; std::getline(file, line);) {
    if (line == first || (!documented.empty() && line.starts_with("|"))) {
      documented += line + "\n";
    } else if (!documented.empty()) {
      break;
    }
  }
  const bool up_to_date = documented == computed;
  CHECK_MESSAGE(up_to_date, path, " is out of date; the table that was printed belongs there");
}
