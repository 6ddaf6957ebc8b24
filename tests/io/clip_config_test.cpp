// Configurations: what the two kinds of file say, their defaults and oddities, and one clear error for everything else.
#include "radapt/io/clip_config.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "radapt/clip/arch.hpp"
#include "radapt/io/names.hpp"
#include "radapt/io/safetensors.hpp"
#include "support/shared_data.hpp"

namespace {

namespace fs = std::filesystem;
namespace st = radapt::safetensors;
using radapt::Activation;
using radapt::ClipConfig;
using radapt::PreprocessConfig;
using radapt::TextPooling;
using radapt::TowerSize;
using radapt_test::shared_data;

/// A folder of its own, removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "radapt_config_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) { throw std::runtime_error("no temporary folder"); }
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
};

std::string content(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
void put(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

ClipConfig parse(const std::string& text) {
  return radapt::parse_clip_config(std::as_bytes(std::span<const char>(text)), "it");
}
std::string message_of(const std::string& text) {
  try {
    parse(text);
  } catch (const radapt::error& problem) { return problem.what(); }
  return "no error";
}
PreprocessConfig parse_preprocess(const std::string& text) {
  return radapt::preprocess_from_json(radapt::parse_json(std::as_bytes(std::span<const char>(text)), "it"), "it");
}
std::string preprocess_message_of(const std::string& text) {
  try {
    parse_preprocess(text);
  } catch (const radapt::error& problem) { return problem.what(); }
  return "no error";
}

#define CHECK_SAYS(message, part)                                                   \
  do {                                                                              \
    const std::string said = message;                                               \
    CHECK_MESSAGE(said.find(part) != std::string::npos, said);                      \
    CHECK_MESSAGE(said.starts_with("radapt: reading 'it'"), said);                  \
    CHECK_MESSAGE(said.find("radapt: ", 1) == std::string::npos, "one error only"); \
  } while (false)

void check_tower(const TowerSize& a, const TowerSize& b) {
  CHECK(a.width == b.width);
  CHECK(a.heads == b.heads);
  CHECK(a.layers == b.layers);
  CHECK(a.hidden == b.hidden);
}

struct Tiny : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 48, image = 32, patch = 8, vocabulary = 320;
  static constexpr TowerSize vision{96, 3, 3, 384}, text{64, 2, 2, 256};
  static constexpr Activation activation = Activation::quick_gelu;
};
struct TinyGelu : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 32, image = 30, patch = 10, vocabulary = 260;
  static constexpr TowerSize vision{64, 4, 2, 192}, text{48, 3, 3, 192};
};
struct TinyVocabulary : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 24, image = 32, patch = 16;
  static constexpr TowerSize vision{32, 2, 1, 128}, text{16, 2, 1, 64};
  static constexpr Activation activation = Activation::quick_gelu;
};

TEST_CASE("the configurations of the fixtures are those of their models") {
  using radapt::clip_config_of;
  using radapt::differences;
  using radapt::read_clip_config;
  const auto agree = [](const std::string& path, const ClipConfig& type) {
    const auto found = differences(read_clip_config(shared_data("fixtures/" + path)), type);
    CHECK_MESSAGE(found.empty(), path, ": ", found.empty() ? std::string() : found.front());
  };
  agree("tiny_clip_quickgelu", clip_config_of<Tiny>());
  agree("tiny_clip_quickgelu/config.json", clip_config_of<Tiny>());
  agree("tiny_clip_quickgelu/open_clip_config.json", clip_config_of<Tiny>());
  agree("tiny_clip_quickgelu_f16", clip_config_of<Tiny>());
  agree("tiny_clip_quickgelu_f16_sharded", clip_config_of<Tiny>());
  agree("tiny_clip_quickgelu_bf16", clip_config_of<Tiny>());
  agree("tiny_clip_gelu", clip_config_of<TinyGelu>());
  agree("tiny_clip_vocab49408", clip_config_of<TinyVocabulary>());
}

TEST_CASE("pooling and the initial scale follow the file") {
  const ClipConfig legacy = radapt::read_clip_config(shared_data("fixtures/tiny_clip_quickgelu_f16"));
  CHECK(legacy.pooling == TextPooling::argmax);  // eos_token_id 2
  CHECK(legacy.eos_token_id == 319);
  const ClipConfig modern = radapt::read_clip_config(shared_data("fixtures/tiny_clip_quickgelu/config.json"));
  CHECK(modern.pooling == TextPooling::eos);
  CHECK(modern.eos_token_id == 319);
  CHECK(modern.logit_scale_init == 2.6592);
  const ClipConfig ours = radapt::read_clip_config(shared_data("fixtures/tiny_clip_quickgelu/open_clip_config.json"));
  CHECK(ours.pooling == TextPooling::argmax);
  CHECK(ours.logit_scale_init == doctest::Approx(2.6592600).epsilon(1e-7));  // ln(1/0.07), to the digits given
}

TEST_CASE("transformers' defaults stand in for absent keys") {
  const ClipConfig config = parse("{\"model_type\":\"clip\"}");
  CHECK(config.embed == 512);
  CHECK(config.image == 224);
  CHECK(config.patch == 32);
  check_tower(config.vision, {768, 12, 12, 3072});
  check_tower(config.text, {512, 8, 12, 2048});
  CHECK(config.context == 77);
  CHECK(config.vocabulary == 49408);
  CHECK(config.activation == Activation::quick_gelu);
  CHECK(config.activation_known);
  CHECK(config.layer_norm_eps == 1e-5);
  CHECK(config.pooling == TextPooling::eos);
  CHECK(config.eos_token_id == 49407);
  CHECK(config.logit_scale_init == 2.6592);
  // They are the sizes of ViT-B/32.
  CHECK(radapt::differences(config, radapt::clip_config_of<radapt::arch::quickgelu<radapt::arch::ViT_B_32>>()).empty());
}

TEST_CASE("text_config_dict and vision_config_dict stand for text_config and vision_config where they are present") {
  const ClipConfig config = parse(
      "{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":64,\"vocab_size\":100,\"eos_token_id\":99},"
      "\"text_config_dict\":{\"hidden_size\":128,\"hidden_act\":\"gelu\"},\"vision_config\":null,"
      "\"vision_config_dict\":{\"image_size\":64,\"hidden_act\":\"gelu\"}}");
  CHECK(config.text.width == 128);
  CHECK(config.vocabulary == 49408);  // the default: transformers completes such a part before it takes it
  CHECK(config.eos_token_id == 49407);
  CHECK(config.image == 64);
  CHECK(config.vision.width == 768);
  CHECK(config.activation == Activation::gelu);
  CHECK(parse("{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":64},\"text_config_dict\":null}").text.width ==
        64);
}

TEST_CASE("activations of transformers") {
  const auto with = [](const std::string& name) {
    return parse("{\"text_config\":{\"hidden_act\":\"" + name + "\"},\"vision_config\":{\"hidden_act\":\"" + name +
                 "\"}}")
        .activation;
  };
  CHECK(with("quick_gelu") == Activation::quick_gelu);
  CHECK(with("gelu") == Activation::gelu);
  CHECK(with("gelu_pytorch_tanh") == Activation::gelu_tanh);
  CHECK_SAYS(message_of("{\"vision_config\":{\"hidden_act\":\"relu\"}}"),
             "key 'vision_config.hidden_act': expected 'quick_gelu', 'gelu' or 'gelu_pytorch_tanh', got 'relu'");
  CHECK_SAYS(message_of("{\"text_config\":{\"hidden_act\":\"gelu\"},\"vision_config\":{}}"),
             "the same setting as in the text tower");
}

const std::string vision_cfg =
    "\"vision_cfg\":{\"image_size\":224,\"layers\":40,\"width\":1408,\"head_width\":88,\"mlp_ratio\":4.3637,"
    "\"patch_size\":14}";
const std::string text_cfg = "\"text_cfg\":{\"width\":1024,\"heads\":16,\"layers\":24}";

TEST_CASE("open_clip's sizes follow from widths and ratios") {
  const ClipConfig config = parse("{\"embed_dim\":1024," + vision_cfg + "," + text_cfg + "}");
  CHECK(radapt::differences(config, radapt::clip_config_of<radapt::arch::ViT_g_14>()).empty());
  CHECK(config.activation == Activation::gelu);  // no quick_gelu
  CHECK(config.vocabulary == 49408);
  const ClipConfig quick =
      parse("{\"model_cfg\":{\"embed_dim\":1024,\"quick_gelu\":true," + vision_cfg + "," + text_cfg + "}}");
  CHECK(quick.activation == Activation::quick_gelu);
  // Without head_width, heads are width / 64; a list of two equal sides is a square.
  const ClipConfig plain = parse(
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":[224,224],\"layers\":12,\"width\":768,\"patch_size\":[32,32]},"
      "\"text_cfg\":{\"context_length\":77,\"vocab_size\":49408,\"width\":512,\"heads\":8,\"layers\":12}}");
  CHECK(radapt::differences(plain, radapt::clip_config_of<radapt::arch::ViT_B_32>()).empty());
}

TEST_CASE("open_clip's other settings are read or refused, never ignored") {
  const auto with = [](const std::string& vision, const std::string& text, const std::string& top = {}) {
    return "{\"embed_dim\":64" + top + ",\"vision_cfg\":{\"image_size\":32,\"layers\":1,\"width\":64,\"patch_size\":8" +
           vision + "},\"text_cfg\":{\"width\":64,\"heads\":1,\"layers\":1" + text + "}}";
  };
  CHECK(parse(with("", "")).pooling == TextPooling::argmax);
  const ClipConfig eos = parse(with("", ",\"pool_type\":\"eos\",\"eos_id\":2"));
  CHECK(eos.pooling == TextPooling::eos);
  CHECK(eos.eos_token_id == 2);
  CHECK_SAYS(message_of(with("", ",\"pool_type\":\"eos\"")), "a key 'text_cfg.eos_id', got none");
  CHECK_SAYS(message_of(with("", ",\"pool_type\":\"eos\",\"eos_id\":49408")), "eos_token_id: expected 0 to 49407");
  CHECK_SAYS(message_of(with("", ",\"pool_type\":\"last\"")), "text_cfg.pool_type': expected 'argmax' or 'eos'");
  CHECK(parse(with(",\"norm_kwargs\":{\"eps\":1e-6}", ",\"norm_kwargs\":{\"eps\":1e-6}")).layer_norm_eps == 1e-6);
  CHECK_SAYS(message_of(with("", ",\"norm_kwargs\":{\"eps\":1e-6}")), "the same setting as in the text tower");
  const std::string tanh = ",\"act_kwargs\":{\"approximate\":\"tanh\"}";
  CHECK(parse(with(tanh, tanh)).activation == Activation::gelu_tanh);
  CHECK_SAYS(message_of(with("", tanh)), "the same setting as in the text tower");
  CHECK(parse(with("", "", ",\"init_logit_scale\":2.5")).logit_scale_init == 2.5);
  CHECK(parse(with(",\"timm_model_name\":null,\"no_ln_pre\":false,\"pool_type\":\"tok\"", "")).embed == 64);
  CHECK_SAYS(message_of(with(",\"timm_model_name\":\"vit\"", "")), "'vision_cfg.timm_model_name': expected null");
  CHECK_SAYS(message_of(with(",\"no_ln_pre\":true", "")), "'vision_cfg.no_ln_pre': expected false, got true");
  CHECK_SAYS(message_of(with(",\"pool_type\":\"avg\"", "")), "'vision_cfg.pool_type': expected 'tok', got 'avg'");
  CHECK_SAYS(message_of(with("", ",\"hf_model_name\":\"roberta\"")), "'text_cfg.hf_model_name': expected null");
  CHECK_SAYS(message_of(with("", ",\"no_causal_mask\":true")), "'text_cfg.no_causal_mask': expected false");
  CHECK_SAYS(message_of(with("", "", ",\"init_logit_bias\":-10")), "'init_logit_bias': expected null, got -10");
  CHECK_SAYS(message_of(with(",\"head_width\":65", "")), "'vision_cfg.head_width': expected at most the width, got 65");
  // 64 / 24 is 2 heads by whole division, as open_clip has it.
  CHECK(parse(with(",\"head_width\":24", "")).vision.heads == 2);
}

TEST_CASE("every wrong value is named with its key, once") {
  const auto vision = [](const std::string& key, const std::string& value) {
    return message_of("{\"model_type\":\"clip\",\"vision_config\":{\"" + key + "\":" + value + "}}");
  };
  CHECK_SAYS(vision("hidden_size", "-1"), "key 'vision_config.hidden_size': expected a whole number from 1 to");
  CHECK_SAYS(vision("hidden_size", "0"), "got 0");
  CHECK_SAYS(vision("hidden_size", "1.5"), "got 1.5");
  CHECK_SAYS(vision("hidden_size", "\"768\""), "got '768'");
  CHECK_SAYS(vision("hidden_size", "null"), "got null");
  CHECK_SAYS(vision("hidden_size", "true"), "got true");
  CHECK_SAYS(vision("hidden_size", "[768]"), "got [768]");
  CHECK_SAYS(vision("hidden_size", "18446744073709551615"), "got 18446744073709551615");
  CHECK_SAYS(vision("hidden_size", "99999999999999999999999"), "a whole number");
  CHECK_SAYS(vision("hidden_size", "1e400"), "numbers that a double can hold");
  CHECK_SAYS(vision("hidden_size", "1000000"), "vision.width: expected 1 to 65536, got 1000000");
  CHECK_SAYS(vision("hidden_size", "NaN"), "valid JSON");
  CHECK_SAYS(vision("num_hidden_layers", "100000"), "vision.layers: expected 1 to 1024");
  CHECK_SAYS(vision("num_attention_heads", "7"), "vision.heads: expected a divisor of the width 768, got 7");
  CHECK_SAYS(vision("patch_size", "33"), "image: expected a multiple of the patch of 33, got 224");
  CHECK_SAYS(vision("patch_size", "225"), "patch: expected 1 to 224");
  CHECK_SAYS(vision("num_channels", "1"), "key 'vision_config.num_channels': expected 3, got 1");
  CHECK_SAYS(vision("layer_norm_eps", "-1e-5"), "a number from 0");
  CHECK_SAYS(vision("layer_norm_eps", "\"1e-5\""), "got '1e-5'");
  CHECK_SAYS(vision("hidden_act", "3"), "a text, got 3");
  CHECK_SAYS(message_of("{\"vision_config\":[]}"), "key 'vision_config': expected an object, got []");
  CHECK_SAYS(message_of("{\"text_config_dict\":7}"), "key 'text_config_dict': expected an object, got 7");
  CHECK_SAYS(message_of("{\"text_config\":{\"eos_token_id\":[1]}}"), "key 'text_config.eos_token_id'");
  CHECK_SAYS(message_of("{\"text_config\":{\"vocab_size\":100}}"), "eos_token_id: expected 0 to 99, got 49407");
  CHECK_SAYS(message_of("{\"text_config\":{\"vocab_size\":999999999}}"), "vocabulary: expected 1 to 16777216");
  CHECK_SAYS(message_of("{\"model_type\":\"siglip\"}"), "key 'model_type': expected 'clip', got 'siglip'");
  CHECK_SAYS(message_of("{\"projection_dim\":1}"), "expected the configuration of a CLIP");
  CHECK_SAYS(message_of("{}"), "got neither");
  CHECK_SAYS(message_of(""), "valid JSON");
  CHECK_SAYS(message_of("[1]"), "a JSON object");
  CHECK_SAYS(message_of("{\"model_type\":\"clip\",\"model_type\":\"clip\"}"), "'model_type' twice");
  CHECK_SAYS(message_of("{\"model_type\":" + std::string(1000, '[')), "levels of nesting");
  CHECK_SAYS(message_of("{\"embed_dim\":4," + text_cfg + "}"), "a key 'vision_cfg.image_size', got none");
  CHECK_SAYS(message_of("{\"embed_dim\":4," + vision_cfg + "}"), "a key 'text_cfg.width', got none");
  CHECK_SAYS(message_of("{\"model_cfg\":{" + vision_cfg + "," + text_cfg + "}}"), "a key 'model_cfg.embed_dim'");
  CHECK_SAYS(message_of("{\"model_cfg\":3}"), "key 'model_cfg': expected an object, got 3");
  CHECK_SAYS(message_of("{\"embed_dim\":4,\"vision_cfg\":{\"image_size\":[224,256]}}"), "the side of a square");
  CHECK_SAYS(message_of("{\"embed_dim\":4,\"quick_gelu\":1," + vision_cfg + "," + text_cfg + "}"),
             "key 'quick_gelu': expected true or false, got 1");
  CHECK_SAYS(message_of("{\"embed_dim\":4,\"vision_cfg\":{\"image_size\":224,\"patch_size\":32,\"width\":64,"
                        "\"layers\":[3,4,6,3]}," +
                        text_cfg + "}"),
             "key 'vision_cfg.layers': expected a whole number");
}

TEST_CASE("a folder without a configuration, and a file that is absent, are named") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(radapt::read_clip_config(folder.path),
                       doctest::Contains("open_clip_config.json or config.json, got none"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::read_clip_config(folder.path / "config.json"),
                       doctest::Contains("config.json': expected a readable file, got No such file"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::read_preprocess_config(folder.path),
                       doctest::Contains("open_clip_config.json or preprocessor_config.json, got none"), radapt::error);
  put(folder.path / "config.json", "{\"model_type\":\"clip\"}");
  CHECK(radapt::read_clip_config(folder.path).embed == 512);
  put(folder.path / "open_clip_config.json", "{\"embed_dim\":1024," + vision_cfg + "," + text_cfg + "}");
  CHECK(radapt::read_clip_config(folder.path).embed == 1024);
}

TEST_CASE("what is written is the reference's file, byte for byte") {
  const Folder folder;
  for (const std::string model : {"tiny_clip_quickgelu", "tiny_clip_quickgelu_f16", "tiny_clip_vocab49408"}) {
    const fs::path config = shared_data("fixtures/" + model + "/config.json");
    radapt::write_hf_config(folder.path / "c", radapt::read_clip_config(config));
    CHECK(content(folder.path / "c") == content(config));
    const fs::path preprocessor = shared_data("fixtures/" + model + "/preprocessor_config.json");
    radapt::write_preprocessor_config(folder.path / "p", radapt::read_preprocess_config(preprocessor));
    CHECK(content(folder.path / "p") == content(preprocessor));
  }
  for (const std::string model : {"tiny_clip_quickgelu", "tiny_clip_quickgelu_bf16", "tiny_clip_gelu"}) {
    const fs::path config = shared_data("fixtures/" + model + "/open_clip_config.json");
    radapt::write_open_clip_config(folder.path / "o", radapt::read_clip_config(config),
                                   radapt::read_preprocess_config(config));
    CHECK(content(folder.path / "o") == content(config));
  }
}

TEST_CASE_TEMPLATE("every architecture survives both kinds of file", Arch, radapt::arch::ViT_B_32,
                   radapt::arch::ViT_S_32_alt, radapt::arch::ViT_L_14_336, radapt::arch::ViT_H_14_378,
                   radapt::arch::ViT_g_14, radapt::arch::ViT_bigG_14, radapt::arch::ViT_e_14,
                   radapt::arch::quickgelu<radapt::arch::ViT_B_16_plus_240>) {
  const Folder folder;
  ClipConfig config = radapt::clip_config_of<Arch>();
  radapt::write_hf_config(folder.path / "config.json", config);
  radapt::write_open_clip_config(folder.path / "open_clip_config.json", config, {});
  for (const char* file : {"config.json", "open_clip_config.json"}) {
    const ClipConfig again = radapt::read_clip_config(folder.path / file);
    CHECK(radapt::differences(again, config).empty());
    CHECK(again.pooling == TextPooling::argmax);
    CHECK(std::abs(again.logit_scale_init - config.logit_scale_init) < 1e-4);  // two roundings of ln(1/0.07)
  }
}

TEST_CASE("unusual settings survive both kinds of file") {
  const Folder folder;
  ClipConfig config = radapt::clip_config_of<Tiny>();
  config.activation = Activation::gelu_tanh;
  config.layer_norm_eps = 1e-6;
  config.pooling = TextPooling::eos;
  config.eos_token_id = 7;
  config.logit_scale_init = 2.25;
  config.text.hidden = 100;
  radapt::write_hf_config(folder.path / "config.json", config);
  radapt::write_open_clip_config(folder.path / "open_clip_config.json", config, {});
  for (const char* file : {"config.json", "open_clip_config.json"}) {
    const ClipConfig again = radapt::read_clip_config(folder.path / file);
    CHECK(radapt::differences(again, config).empty());
    CHECK(again.activation == Activation::gelu_tanh);
    CHECK(again.pooling == TextPooling::eos);
    CHECK(again.eos_token_id == 7);
    CHECK(again.logit_scale_init == 2.25);
    CHECK(again.text.hidden == 100);
  }
  // Any hidden size is hit by the ratio, although the ratio is rounded and the product truncated.
  for (radapt::Index hidden = 1; hidden < 400; ++hidden) {
    config.vision.hidden = hidden;
    radapt::write_open_clip_config(folder.path / "open_clip_config.json", config, {});
    REQUIRE(radapt::read_clip_config(folder.path).vision.hidden == hidden);
  }
}

TEST_CASE("what cannot be built or is not known is not written") {
  const Folder folder;
  const fs::path path = folder.path / "config.json";
  ClipConfig config = radapt::clip_config_of<Tiny>();
  config.activation_known = false;
  CHECK_THROWS_WITH_AS(radapt::write_hf_config(path, config), doctest::Contains("a known activation"), radapt::error);
  config = radapt::clip_config_of<Tiny>();
  config.vision.heads = 0;
  CHECK_THROWS_WITH_AS(radapt::write_open_clip_config(path, config, {}), doctest::Contains("known heads"),
                       radapt::error);
  config = radapt::clip_config_of<Tiny>();
  config.patch = 0;
  CHECK_THROWS_WITH_AS(radapt::write_hf_config(path, config), doctest::Contains("patch: expected 1 to 32, got 0"),
                       radapt::error);
  config = radapt::clip_config_of<Tiny>();
  config.layer_norm_eps = 0;
  CHECK_THROWS_WITH_AS(radapt::write_hf_config(path, config), doctest::Contains("layer_norm_eps"), radapt::error);
  config = radapt::clip_config_of<Tiny>();
  config.pooling = TextPooling::eos;
  config.eos_token_id = 2;
  CHECK_THROWS_WITH_AS(radapt::write_hf_config(path, config), doctest::Contains("takes for pooling argmax"),
                       radapt::error);
  PreprocessConfig longest;
  longest.resize = PreprocessConfig::Resize::longest;
  CHECK_THROWS_WITH_AS(radapt::write_preprocessor_config(path, longest), doctest::Contains("got longest"),
                       radapt::error);
  CHECK(fs::is_empty(folder.path));
}

TEST_CASE("differences are told one by one, and what is unknown is none") {
  const ClipConfig type = radapt::clip_config_of<Tiny>();
  ClipConfig file = type;
  file.embed = 1;
  file.image = 64;
  file.patch = 16;
  file.vision = {1, 1, 1, 1};
  file.text.layers = 9;
  file.context = 32;
  file.vocabulary = 5;
  file.activation = Activation::gelu;
  file.layer_norm_eps = 1e-6;
  using List = std::vector<std::string>;
  CHECK(radapt::differences(file, type) ==
        List{"embed: the file says 1, the model has 48", "image: the file says 64, the model has 32",
             "patch: the file says 16, the model has 8", "vision.width: the file says 1, the model has 96",
             "vision.heads: the file says 1, the model has 3", "vision.layers: the file says 1, the model has 3",
             "vision.hidden: the file says 1, the model has 384", "text.layers: the file says 9, the model has 2",
             "context: the file says 32, the model has 77", "vocabulary: the file says 5, the model has 320",
             "activation: the file says gelu, the model has quick_gelu",
             "layer_norm_eps: the file says 1.000000e-6, the model has 10.000000e-6"});
  file = type;
  file.activation = Activation::gelu;
  file.activation_known = false;
  file.vision.heads = 0;
  file.pooling = TextPooling::eos;
  CHECK(radapt::differences(file, type).empty());
}

TEST_CASE("sizes are inferred from the tensors of every fixture") {
  const auto infer = [](const std::string& path) {
    return radapt::infer_clip_config(st::open(shared_data("fixtures/" + path)));
  };
  for (const char* path : {"tiny_clip_quickgelu/model.safetensors", "tiny_clip_quickgelu/open_clip_model.safetensors",
                           "tiny_clip_quickgelu_f16_sharded", "tiny_clip_quickgelu_bf16"}) {
    ClipConfig config = infer(path);
    CHECK_FALSE(config.activation_known);
    CHECK(config.vision.heads == 0);  // 96 is no multiple of 64
    CHECK(config.text.heads == 1);    // the usual number for 64; the fixture is unusual and has 2
    config.text.heads = 2;
    CHECK(radapt::differences(config, radapt::clip_config_of<Tiny>()).empty());
  }
  ClipConfig gelu = infer("tiny_clip_gelu");
  gelu.vision.heads = 4;
  CHECK(radapt::differences(gelu, radapt::clip_config_of<TinyGelu>()).empty());
  CHECK(radapt::differences(infer("tiny_clip_vocab49408"), radapt::clip_config_of<TinyVocabulary>()).empty());
}

TEST_CASE("the wide image towers have 16 heads, the others one per 64") {
  using radapt::clip_config_detail::usual_heads;
  CHECK(usual_heads(768) == 12);
  CHECK(usual_heads(1024) == 16);
  CHECK(usual_heads(1280) == 16);
  CHECK(usual_heads(1408) == 16);
  CHECK(usual_heads(1664) == 16);
  CHECK(usual_heads(1792) == 16);
  CHECK(usual_heads(100) == 0);
}

TEST_CASE("tensors from which no sizes follow are refused") {
  const st::File whole = st::open(shared_data("fixtures/tiny_clip_gelu"));
  const Folder folder;
  const auto without = [&](const std::string& name, const std::vector<std::uint64_t>& shape) {
    auto tensors = whole.tensors();
    tensors.erase(name);
    const std::vector<float> zeros(100'000, 0.0F);
    if (!shape.empty()) {
      const auto size = static_cast<std::size_t>(st::byte_size(st::DType::F32, shape).value());
      tensors[name] = {st::DType::F32, shape, st::bytes_of(zeros).first(size)};
    }
    st::write(folder.path / "t", tensors);
    try {
      radapt::infer_clip_config(st::open(folder.path / "t"));
    } catch (const radapt::error& problem) { return std::string(problem.what()); }
    return std::string("no error");
  };
  const auto says = [](const std::string& message, const std::string& part) {
    CHECK_MESSAGE(message.find(part) != std::string::npos, message);
  };
  says(without("visual.conv1.weight", {}), "a tensor 'visual.conv1.weight', got none");
  says(without("visual.conv1.weight", {64, 3, 100}), "4 extents above 0 and below 2^30, got [64,3,100]");
  says(without("visual.conv1.weight", {64, 1, 10, 10}), "square patches of 3 channels, got 1 channels of 10 x 10");
  says(without("visual.conv1.weight", {64, 3, 10, 5}), "got 3 channels of 10 x 5");
  says(without("visual.conv1.weight", {0, 3, 10, 10}), "above 0");
  says(without("visual.positional_embedding", {11, 64}), "a square grid and the class row, got 11 rows");
  says(without("visual.positional_embedding", {1, 64}), "got 1 rows");
  says(without("transformer.resblocks.0.attn.out_proj.weight", {}), "without a gap, got 2 blocks, 0 of them");
  says(without("transformer.resblocks.1.attn.out_proj.weight", {}), "without a gap, got 2 blocks, 1 of them");
  says(without("ln_final.weight", {}), "a tensor 'ln_final.weight', got none");
}

TEST_CASE("image settings of both kinds of file") {
  const PreprocessConfig ours = radapt::read_preprocess_config(shared_data("fixtures/tiny_clip_gelu"));
  CHECK(ours.pipeline == PreprocessConfig::Pipeline::open_clip);
  CHECK(ours.size == 30);
  CHECK(ours.resize == PreprocessConfig::Resize::shortest);
  CHECK(ours.filter == PreprocessConfig::Filter::bicubic);
  CHECK(ours.mean == std::array<double, 3>{0.48145466, 0.4578275, 0.40821073});
  CHECK(ours.std == std::array<double, 3>{0.26862954, 0.26130258, 0.27577711});
  const PreprocessConfig theirs = radapt::read_preprocess_config(shared_data("fixtures/tiny_clip_quickgelu_f16"));
  CHECK(theirs.pipeline == PreprocessConfig::Pipeline::transformers);
  CHECK(theirs.size == 32);
  const PreprocessConfig defaults = parse_preprocess("{}");
  CHECK(defaults.size == 224);
  CHECK(defaults.mean == ours.mean);
  CHECK(defaults.filter == PreprocessConfig::Filter::bicubic);
  CHECK(parse_preprocess("{\"model_cfg\":{}}") == PreprocessConfig{});
  const PreprocessConfig siglip = parse_preprocess(
      "{\"preprocess_cfg\":{\"size\":[384,384],\"mean\":[0.5,0.5,0.5],\"std\":[0.5,0.5,0.5],\"interpolation\":"
      "\"bilinear\",\"resize_mode\":\"squash\",\"fill_color\":127}}");
  CHECK(siglip.size == 384);
  CHECK(siglip.mean == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(siglip.filter == PreprocessConfig::Filter::bilinear);
  CHECK(siglip.resize == PreprocessConfig::Resize::squash);
  CHECK(siglip.fill == 127);
}

TEST_CASE("sizes of transformers' image processor in each of their forms") {
  CHECK(parse_preprocess("{\"size\":336,\"crop_size\":336}").size == 336);
  CHECK(parse_preprocess("{\"size\":{\"shortest_edge\":336},\"crop_size\":{\"height\":336,\"width\":336}}").size ==
        336);
  const PreprocessConfig squash =
      parse_preprocess("{\"size\":{\"height\":378,\"width\":378},\"do_center_crop\":false,\"resample\":2}");
  CHECK(squash.resize == PreprocessConfig::Resize::squash);
  CHECK(squash.size == 378);
  CHECK(squash.filter == PreprocessConfig::Filter::bilinear);
  CHECK(parse_preprocess("{\"size\":[96,96],\"do_center_crop\":false}").resize == PreprocessConfig::Resize::squash);
  CHECK(parse_preprocess("{\"image_mean\":0.5}").mean == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(parse_preprocess("{\"preprocess_cfg\":{\"interpolation\":\"random\"}}").filter ==
        PreprocessConfig::Filter::bicubic);
  CHECK(parse_preprocess("{\"do_normalize\":false}").std == std::array<double, 3>{1, 1, 1});
  CHECK(parse_preprocess("{\"rescale_factor\":0.003921569}").size == 224);
  const Folder folder;
  radapt::write_preprocessor_config(folder.path / "p", squash);
  CHECK(radapt::read_preprocess_config(folder.path / "p") == squash);
}

TEST_CASE("image settings that would be done otherwise are refused") {
  CHECK_SAYS(preprocess_message_of("{\"size\":{\"shortest_edge\":256}}"), "the side 256 that 'size' resizes to");
  CHECK_SAYS(preprocess_message_of("{\"size\":{\"height\":224,\"width\":256}}"), "a square");
  CHECK_SAYS(preprocess_message_of("{\"size\":{}}"), "a key 'size.height', got none");
  CHECK_SAYS(preprocess_message_of("{\"size\":\"224\"}"), "key 'size'");
  CHECK_SAYS(preprocess_message_of("{\"size\":0}"), "from 1 to 32768, got 0");
  CHECK_SAYS(preprocess_message_of("{\"do_center_crop\":false}"), "the shortest edge only");
  CHECK_SAYS(preprocess_message_of("{\"do_resize\":false}"), "key 'do_resize': expected true, got false");
  CHECK_SAYS(preprocess_message_of("{\"do_rescale\":false}"), "key 'do_rescale'");
  CHECK_SAYS(preprocess_message_of("{\"rescale_factor\":1}"), "key 'rescale_factor': expected 1/255, got 1");
  CHECK_SAYS(preprocess_message_of("{\"resample\":1}"), "key 'resample'");
  CHECK_SAYS(preprocess_message_of("{\"image_mean\":[0.5,0.5]}"), "a list of 3 numbers");
  CHECK_SAYS(preprocess_message_of("{\"image_std\":[0.5,0.5,0]}"), "key 'image_std'");
  CHECK_SAYS(preprocess_message_of("{\"image_std\":[0.5,0.5,\"1\"]}"), "got '1'");
  CHECK_SAYS(preprocess_message_of("{\"image_processor_type\":\"SiglipImageProcessor\"}"), "a processor of CLIP");
  CHECK_SAYS(preprocess_message_of("{\"preprocess_cfg\":{\"resize_mode\":\"fit\"}}"), "preprocess_cfg.resize_mode");
  CHECK_SAYS(preprocess_message_of("{\"preprocess_cfg\":{\"interpolation\":\"lanczos\"}}"), "got 'lanczos'");
  CHECK_SAYS(preprocess_message_of("{\"preprocess_cfg\":{\"mode\":\"L\"}}"), "expected 'RGB', got 'L'");
  CHECK_SAYS(preprocess_message_of("{\"preprocess_cfg\":{\"fill_color\":256}}"), "from 0 to 255, got 256");
  CHECK_SAYS(preprocess_message_of("{\"preprocess_cfg\":{\"std\":\"0.5\"}}"), "a list of 3 numbers, got '0.5'");
}

}  // namespace
