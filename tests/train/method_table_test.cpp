/// The table of all named recipes in docs/methods.md: computed from the types, printed, and compared with the page.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "radapt/train/recipes.hpp"

namespace {

using radapt::Index;
namespace recipe = radapt::recipe;
using Arch = radapt::arch::ViT_B_16;
constexpr Index classes = 1000;

const std::string head = "| method | type | trained parameters | in f32 | adapters merge |\n|---|---|---|---|---|\n";

/// One row. `expected` is the number of parameters that are trained and stored, added up by hand from the sizes of
/// ViT-B/16 (768 x 12, 512 x 12, embed 512) and a head of 1000 classes.
template <class R>
std::string row(const std::string& method, const std::string& type, Index expected) {
  CAPTURE(method);
  using Model = typename R::trained;
  const Index trained = radapt::count<Model, typename R::tune>(classes);
  CHECK(trained == expected);
  const std::string merges = !radapt::detail::has_adapters<typename R::model>()         ? "has none"
                             : radapt::detail::has_linear_adapters<typename R::model>() ? "yes"
                                                                                        : "no";
  char size[32];
  std::snprintf(size, sizeof size, "%.1f MB", static_cast<double>(trained) * 4e-6);
  std::string digits = std::to_string(trained);
  for (std::size_t i = digits.size(); i > 3; i -= 3) { digits.insert(i - 3, ","); }
  return "| " + method + " | `" + type + "` | " + digits + " | " + size + " | " + merges + " |\n";
}

constexpr Index image_tower = 86'192'640, text_tower = 63'428'096;  // clip_compat.md 1.1
constexpr Index clip = image_tower + text_tower + 1, head_parameters = 1000 * 512 + 1000;

/// Parameters of an adapter in each of the 24 blocks, where one in a block of width D has per_block(D).
template <class F>
constexpr Index in_all_blocks(F&& per_block) {
  return 12 * (per_block(Index{768}) + per_block(Index{512}));
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
         row<recipe::adapt_former<Arch>>("AdaptFormer", "recipe::adapt_former<Arch>",
                                         12 * adapt_former(768) + head_parameters) +
         row<recipe::rep_adapter<Arch>>("RepAdapter", "recipe::rep_adapter<Arch>",
                                        12 * rep_adapter(768) + head_parameters);
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
