#pragma once
/// Reading a CLIP's configuration from transformers' config.json or open_clip's open_clip_config.json.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/clip_config_data.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/json_fields.hpp"

namespace radapt {

namespace clip_config_detail {

// No size in a configuration comes near this; the finer limits are those of check_clip_config.
inline constexpr std::uint64_t most = std::uint64_t{1} << 30;

inline Index size(const JsonFields& fields, const std::string& key) {
  return static_cast<Index>(fields.whole(key, 1, most));
}
inline Index size(const JsonFields& fields, const std::string& key, Index otherwise) {
  return static_cast<Index>(fields.whole(key, 1, most, otherwise));
}

inline Activation hf_activation(const JsonFields& fields) {
  const std::string name = fields.text("hidden_act", "quick_gelu");
  if (name == "quick_gelu") { return Activation::quick_gelu; }
  if (name == "gelu") { return Activation::gelu; }
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") { return Activation::gelu_tanh; }
  fields.wrong_value("hidden_act", "'quick_gelu', 'gelu' or 'gelu_pytorch_tanh'");
}

inline TowerSize hf_tower(const JsonFields& fields, const TowerSize& otherwise) {
  TowerSize tower{};
  tower.width = size(fields, "hidden_size", otherwise.width);
  tower.heads = size(fields, "num_attention_heads", otherwise.heads);
  tower.layers = size(fields, "num_hidden_layers", otherwise.layers);
  tower.hidden = size(fields, "intermediate_size", otherwise.hidden);
  return tower;
}

/// int(width * ratio), as open_clip has it.
inline Index hidden(const JsonFields& fields, Index width) {
  const double ratio = fields.number("mlp_ratio", 1e-3, 1e4, 4.0);
  return static_cast<Index>(static_cast<double>(width) * ratio);
}

/// Settings of open_clip that change the model into one that radapt does not build, with the value that leaves it be.
inline void require_plain_vision(const JsonFields& vision) {
  for (const char* key : {"timm_model_name", "ls_init_value"}) { vision.require(key, nullptr); }
  for (const char* key : {"no_ln_pre", "attentional_pool", "final_ln_after_pool", "output_tokens", "qk_norm",
                          "scaled_cosine_attn", "inner_norm"}) {
    vision.require(key, false);
  }
  vision.require("pool_type", "tok");
  vision.require("pos_embed_type", "learnable");
}
inline void require_plain_text(const JsonFields& text) {
  for (const char* key : {"hf_model_name", "ls_init_value"}) { text.require(key, nullptr); }
  for (const char* key :
       {"no_causal_mask", "embed_cls", "proj_bias", "output_tokens", "qk_norm", "scaled_cosine_attn", "inner_norm"}) {
    text.require(key, false);
  }
  text.require("proj_type", "linear");
}

inline double open_clip_eps(const JsonFields& tower) { return tower.object("norm_kwargs").number("eps", 0, 1, 1e-5); }

inline bool open_clip_tanh(const JsonFields& tower) {
  const JsonFields arguments = tower.object("act_kwargs");
  const std::string approximate = arguments.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh") { arguments.wrong_value("approximate", "'none' or 'tanh'"); }
  return approximate == "tanh";
}

/// Fails unless both towers have the same setting; radapt's CLIP has it once.
template <class T>
void same(const JsonFields& vision, const std::string& key, const T& of_vision, const T& of_text) {
  if (of_vision != of_text) { vision.wrong_value(key, "the same setting as in the text tower"); }
}

}  // namespace clip_config_detail

/// Reads the content of transformers' config.json of a CLIPModel. Absent keys have transformers' defaults;
/// `text_config_dict` and `vision_config_dict`, completed by the defaults, stand in the places of `text_config` and
/// `vision_config`; eos_token_id 2, which old files carry, means pooling argmax. Errors: a value of the wrong type or
/// out of range, another kind of model.
inline ClipConfig hf_clip_config(const JsonFields& fields) {
  namespace detail = clip_config_detail;
  ClipConfig config;
  fields.require("model_type", "clip");
  const JsonFields text = fields.object("text_config", "text_config_dict");
  const JsonFields vision = fields.object("vision_config", "vision_config_dict");
  config.embed = detail::size(fields, "projection_dim", config.embed);
  config.logit_scale_init = fields.number("logit_scale_init_value", -100, 100, config.logit_scale_init);
  config.vision = detail::hf_tower(vision, config.vision);
  config.text = detail::hf_tower(text, config.text);
  vision.require("num_channels", 3);
  config.image = detail::size(vision, "image_size", config.image);
  config.patch = detail::size(vision, "patch_size", config.patch);
  config.context = detail::size(text, "max_position_embeddings", config.context);
  config.vocabulary = detail::size(text, "vocab_size", config.vocabulary);
  config.activation = detail::hf_activation(vision);
  detail::same(vision, "hidden_act", config.activation, detail::hf_activation(text));
  config.layer_norm_eps = vision.number("layer_norm_eps", 0, 1, 1e-5);
  detail::same(vision, "layer_norm_eps", config.layer_norm_eps, text.number("layer_norm_eps", 0, 1, 1e-5));
  const auto eos = static_cast<Index>(text.whole("eos_token_id", 0, detail::most, 49407));
  if (eos != 2) {
    config.pooling = TextPooling::eos;
    config.eos_token_id = eos;
  } else {
    config.eos_token_id = config.vocabulary - 1;
  }
  check_clip_config(config, "reading '" + fields.file() + "'");
  return config;
}

/// Reads open_clip's model configuration: an open_clip_config.json, or its `model_cfg` alone. Without `quick_gelu` the
/// activation is GELU; heads are width / head_width (64 if absent); hidden is int(width * mlp_ratio) (4 if absent).
/// Errors: a missing size, a value of the wrong type or out of range, a setting that radapt does not have.
inline ClipConfig open_clip_clip_config(const JsonFields& document) {
  namespace detail = clip_config_detail;
  const JsonFields fields = document.contains("model_cfg") ? document.object("model_cfg") : document;
  const JsonFields vision = fields.object("vision_cfg"), text = fields.object("text_cfg");
  fields.require("multimodal_cfg", nullptr);
  fields.require("init_logit_bias", nullptr);
  detail::require_plain_vision(vision);
  detail::require_plain_text(text);
  ClipConfig config;
  config.embed = detail::size(fields, "embed_dim");
  config.logit_scale_init = fields.number("init_logit_scale", -100, 100, std::log(1 / 0.07));
  config.image = static_cast<Index>(vision.square("image_size", 1, detail::most));
  config.patch = static_cast<Index>(vision.square("patch_size", 1, detail::most));
  config.vision.width = detail::size(vision, "width");
  config.vision.layers = detail::size(vision, "layers");
  config.vision.heads = config.vision.width / detail::size(vision, "head_width", 64);
  config.vision.hidden = detail::hidden(vision, config.vision.width);
  if (config.vision.heads == 0) { vision.wrong_value("head_width", "at most the width"); }
  config.context = detail::size(text, "context_length", config.context);
  config.vocabulary = detail::size(text, "vocab_size", config.vocabulary);
  config.text.width = detail::size(text, "width");
  config.text.heads = detail::size(text, "heads");
  config.text.layers = detail::size(text, "layers");
  config.text.hidden = detail::hidden(text, config.text.width);
  const bool tanh = detail::open_clip_tanh(vision);
  detail::same(vision, "act_kwargs", tanh, detail::open_clip_tanh(text));
  const bool quick_gelu = fields.boolean("quick_gelu", false);
  config.activation = quick_gelu ? Activation::quick_gelu : tanh ? Activation::gelu_tanh : Activation::gelu;
  config.layer_norm_eps = detail::open_clip_eps(vision);
  detail::same(vision, "norm_kwargs", config.layer_norm_eps, detail::open_clip_eps(text));
  const std::string pooling = text.text("pool_type", "argmax");
  config.eos_token_id = config.vocabulary - 1;
  if (pooling == "eos") {
    config.pooling = TextPooling::eos;
    config.eos_token_id = static_cast<Index>(text.whole("eos_id", 0, detail::most));
  } else if (pooling != "argmax") {
    text.wrong_value("pool_type", "'argmax' or 'eos'");
  }
  check_clip_config(config, "reading '" + document.file() + "'");
  return config;
}

/// Reads a document of either kind; `file` names it in messages. Errors: it is neither; see the two readers.
inline ClipConfig clip_config_from_json(const nlohmann::json& document, const std::string& file) {
  const JsonFields fields(document, file);
  if (fields.contains("model_cfg") || fields.contains("embed_dim")) { return open_clip_clip_config(fields); }
  for (const char* key : {"model_type", "text_config", "vision_config", "text_config_dict", "vision_config_dict"}) {
    if (fields.contains(key)) { return hf_clip_config(fields); }
  }
  fail({.what = "reading '" + file + "'",
        .expected = "the configuration of a CLIP by transformers ('model_type') or open_clip ('model_cfg')",
        .got = "neither",
        .hint = {}});
}

/// As read_clip_config, for text in memory.
inline ClipConfig parse_clip_config(std::span<const std::byte> text, const std::string& file) {
  return clip_config_from_json(parse_json(text, file), file);
}

/// Reads a configuration from a file, or from a folder: open_clip_config.json there, or else config.json; the order in
/// which safetensors::open takes checkpoints. Errors: neither exists; not JSON; see the two readers.
inline ClipConfig read_clip_config(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const bool open_clip = std::filesystem::exists(path / "open_clip_config.json", ignored);
    file = path / (open_clip ? "open_clip_config.json" : "config.json");
    if (!std::filesystem::exists(file, ignored)) {
      fail({.what = "looking for a configuration in '" + path.string() + "'",
            .expected = "open_clip_config.json or config.json",
            .got = "none",
            .hint = {}});
    }
  }
  return clip_config_from_json(read_json(file), file.string());
}

}  // namespace radapt
