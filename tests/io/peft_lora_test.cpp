/// LoRA files of Hugging Face's PEFT: what is written comes back, and what does not fit is said in one error.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/clip/initialise.hpp"
#include "radapt/io/peft_lora.hpp"
#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace radapt_test;
using radapt::Index;
namespace site = radapt::site;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 16, patch = 8, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{32, 2, 2, 64}, text{16, 2, 2, 64};
};
template <class Policy, class T = float>
using Adapted = radapt::Weights<radapt::Clip<Tiny, Policy>, T>;
using QueriesAndValues = radapt::Lora<4>;
using Everything =
    radapt::Lora<4, radapt::on<site::in_proj, site::out_proj, site::c_fc, site::c_proj>, radapt::rank_stabilised_scale>;
using ImageKeys =
    radapt::Lora<4, radapt::on<site::k>, radapt::lora_scale, radapt::only_tower<radapt::role::tower::image>>;

template <class Policy, class T = float>
Adapted<Policy, T> drawn(std::uint64_t seed) {
  Adapted<Policy, T> weights;
  radapt::initialise_clip(weights, 1);
  radapt::Random random(seed);
  for (const auto& tensor : weights.tensors()) {
    if (!tensor.facts.is_adapter) { continue; }
    std::generate_n(tensor.data, tensor.size(), [&] { return static_cast<T>(random.normal()); });
  }
  radapt::set_lora_alpha(weights, 3.0);
  return weights;
}
nlohmann::json config_in(const std::filesystem::path& folder) {
  std::ifstream file(folder / "adapter_config.json");
  return nlohmann::json::parse(file);
}
void write_config(const std::filesystem::path& folder, const nlohmann::json& config) {
  std::ofstream(folder / "adapter_config.json") << config;
}
template <class W>
bool same_bits(const W& a, const W& b) {
  return std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}

template <class Policy, class T>
void comes_back() {
  const TemporaryFolder folder;
  auto written = drawn<Policy, T>(5);
  radapt::set_lora_alpha(written, 8.0);
  radapt::save_peft(folder.path(), written, "openai/clip-vit-base-patch32");
  auto read = drawn<Policy, T>(6);
  const radapt::PeftLoraConfig config = radapt::load_peft(folder.path(), read);
  CHECK(same_bits(read, written));
  CHECK(config.rank == 4);
  CHECK(config.alpha == doctest::Approx(8.0).epsilon(1e-6));  // through s in T
  CHECK(config_in(folder.path()).at("base_model_name_or_path") == "openai/clip-vit-base-patch32");
}

}  // namespace

TEST_CASE("a LoRA comes back from its files, bit for bit") {
  comes_back<QueriesAndValues, float>();
  comes_back<QueriesAndValues, double>();
  comes_back<Everything, float>();
  comes_back<ImageKeys, float>();
}

TEST_CASE("names, shapes and settings are PEFT's") {
  const TemporaryFolder folder;
  radapt::save_peft(folder.path(), drawn<Everything>(5));
  const auto file = radapt::safetensors::open(folder.path() / "adapter_model.safetensors");
  CHECK(file.tensors().size() == 2 * 2 * 2 * 6);
  const std::string image = "base_model.model.vision_model.encoder.layers.1.",
                    text = "base_model.model.text_model.encoder.layers.0.";
  using Shape = std::vector<std::uint64_t>;
  CHECK(file.at(image + "self_attn.q_proj.lora_A.weight").shape == Shape{4, 32});
  CHECK(file.at(image + "self_attn.v_proj.lora_B.weight").shape == Shape{32, 4});
  CHECK(file.at(image + "mlp.fc1.lora_B.weight").shape == Shape{64, 4});
  CHECK(file.at(text + "mlp.fc2.lora_A.weight").shape == Shape{4, 64});
  CHECK(file.at(text + "self_attn.out_proj.lora_A.weight").shape == Shape{4, 16});
  const nlohmann::json config = config_in(folder.path());
  CHECK(config.at("peft_type") == "LORA");
  CHECK(config.at("r") == 4);
  CHECK(config.at("use_rslora") == true);
  CHECK(config.at("target_modules") == nlohmann::json({"fc1", "fc2", "k_proj", "out_proj", "q_proj", "v_proj"}));

  radapt::save_peft(folder.path(), drawn<ImageKeys>(5));
  CHECK(config_in(folder.path()).at("target_modules") == ".*vision_model.*\\.(k_proj)");
}

TEST_CASE("alpha of the file becomes s, whatever the scale of the type") {
  const TemporaryFolder folder;
  radapt::save_peft(folder.path(), drawn<QueriesAndValues>(5));
  nlohmann::json config = config_in(folder.path());
  config["lora_alpha"] = 6;
  config["lora_dropout"] = 0.05;
  write_config(folder.path(), config);
  auto weights = drawn<QueriesAndValues>(6);
  CHECK(radapt::load_peft(folder.path(), weights).dropout == 0.05);
  CHECK(*weights.tensor("transformer.resblocks.1.attn.in_proj_lora_scaling").data == 1.5f);
  config["use_rslora"] = true;
  write_config(folder.path(), config);
  radapt::load_peft(folder.path(), weights);
  CHECK(*weights.tensor("transformer.resblocks.1.attn.in_proj_lora_scaling").data == 3.0f);
}

TEST_CASE("what is no LoRA of the model's type is one error, and nothing changes") {
  const TemporaryFolder folder;
  radapt::save_peft(folder.path(), drawn<QueriesAndValues>(5));
  const nlohmann::json good = config_in(folder.path());
  const auto before = drawn<QueriesAndValues>(6);
  const auto complains = [&](const char* key, const nlohmann::json& value, const std::string& about) {
    nlohmann::json config = good;
    config[key] = value;
    write_config(folder.path(), config);
    auto weights = before;
    const std::string message = error_of([&] { radapt::load_peft(folder.path(), weights); });
    CAPTURE(message);
    CHECK(message.find(about) != std::string::npos);
    CHECK(same_bits(weights, before));
  };
  complains("peft_type", "IA3", "peft_type");
  complains("peft_type", nullptr, "peft_type");
  complains("use_dora", true, "use_dora");
  complains("bias", "all", "bias");
  complains("fan_in_fan_out", true, "fan_in_fan_out");
  complains("rank_pattern", {{"q_proj", 8}}, "rank_pattern");
  complains("modules_to_save", {"classifier"}, "modules_to_save");
  for (const char* way : {"pissa", "pissa_niter_4", "olora", "corda", "loftq", "lora_ga"}) {
    complains("init_lora_weights", way, "which leave the base as it is");
  }
  complains("alora_invocation_tokens", {1, 2}, "alora_invocation_tokens");
  complains("r", 8, "Lora<8, ...>");
  complains("r", 0, "'r'");
  complains("lora_alpha", "much", "lora_alpha");

  const auto accepts = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json config = good;
    config[key] = value;
    write_config(folder.path(), config);
    auto weights = before;
    return radapt::load_peft(folder.path(), weights);
  };
  for (const char* way : {"gaussian", "orthogonal", "eva"}) { accepts("init_lora_weights", way); }
  accepts("init_lora_weights", true);
  accepts("init_lora_weights", nullptr);
  CHECK(accepts("lora_alpha", 0).alpha == 0);
  CHECK(accepts("lora_alpha", -4).alpha == -4);

  write_config(folder.path(), good);
  auto other = drawn<radapt::Lora<4, radapt::on<site::q, site::k>>>(6);
  const std::string message = error_of([&] { radapt::load_peft(folder.path(), other); });
  CHECK(message.find("8 missing") != std::string::npos);
  CHECK(message.find("8 unexpected") != std::string::npos);
  CHECK(message.find("on<site::q, site::v, ...>") != std::string::npos);
}
