#pragma once
/// Writing a CLIP's configuration for transformers and for open_clip.
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"
#include "radapt/io/clip_config_data.hpp"
#include "radapt/io/preprocess_config.hpp"

namespace radapt {

namespace clip_config_detail {

/// Fails unless everything that a file has to state is known.
inline void check_writable(const ClipConfig& config, const std::filesystem::path& path) {
  const std::string what = "writing '" + path.string() + "'";
  check_clip_config(config, what);
  if (!config.activation_known || config.vision.heads == 0 || config.text.heads == 0) {
    fail({.what = what,
          .expected = "a known activation and known heads",
          .got = "a configuration inferred from tensors",
          .hint = "Tensors tell neither; state them first"});
  }
  if (config.activation == Activation::relu) {
    fail({.what = what, .expected = "an activation of CLIP", .got = "relu", .hint = "It is for adapters"});
  }
  if (!std::isfinite(config.logit_scale_init)) {
    fail({.what = what, .expected = "a finite logit_scale_init", .got = "none", .hint = {}});
  }
}

inline nlohmann::ordered_json hf_tower(const TowerSize& tower, const ClipConfig& config) {
  return {{"hidden_size", tower.width},
          {"intermediate_size", tower.hidden},
          {"num_hidden_layers", tower.layers},
          {"num_attention_heads", tower.heads},
          {"hidden_act", hidden_act(config.activation)},
          {"layer_norm_eps", config.layer_norm_eps}};
}

/// The ratio for which int(width * ratio) is hidden.
inline double mlp_ratio(const TowerSize& tower) {
  const auto width = static_cast<double>(tower.width);
  double ratio = static_cast<double>(tower.hidden) / width;
  while (static_cast<Index>(width * ratio) < tower.hidden) {
    ratio = std::nextafter(ratio, std::numeric_limits<double>::infinity());
  }
  return ratio;
}

}  // namespace clip_config_detail

/// Writes a config.json that transformers' CLIPModel reads, atomically. Pooling argmax is stated as eos_token_id 2, its
/// mark there. Errors: `config` is no CLIP that can be built, or was inferred from tensors; pooling eos with id 2.
inline void write_hf_config(const std::filesystem::path& path, const ClipConfig& config) {
  clip_config_detail::check_writable(config, path);
  if (config.pooling == TextPooling::eos && config.eos_token_id == 2) {
    fail({.what = "writing '" + path.string() + "'",
          .expected = "an end-of-text id other than 2",
          .got = "2, which transformers takes for pooling argmax",
          .hint = {}});
  }
  nlohmann::ordered_json text = clip_config_detail::hf_tower(config.text, config);
  text["model_type"] = "clip_text_model";
  text["vocab_size"] = config.vocabulary;
  text["max_position_embeddings"] = config.context;
  text["bos_token_id"] = config.vocabulary > 1 ? config.vocabulary - 2 : 0;
  text["eos_token_id"] = config.pooling == TextPooling::eos ? config.eos_token_id : 2;
  nlohmann::ordered_json vision = clip_config_detail::hf_tower(config.vision, config);
  vision["model_type"] = "clip_vision_model";
  vision["image_size"] = config.image;
  vision["patch_size"] = config.patch;
  vision["num_channels"] = 3;
  nlohmann::ordered_json document;
  document["architectures"] = {"CLIPModel"};
  document["model_type"] = "clip";
  document["projection_dim"] = config.embed;
  document["logit_scale_init_value"] = config.logit_scale_init;
  document["text_config"] = text;
  document["vision_config"] = vision;
  write_text_atomically(path, document.dump(2) + "\n");
}

/// Writes an open_clip_config.json, atomically. Settings that have open_clip's default are left out where its own files
/// leave them out. Errors: `config` is no CLIP that can be built, or was inferred from tensors.
inline void write_open_clip_config(const std::filesystem::path& path, const ClipConfig& config,
                                   const PreprocessConfig& preprocess) {
  clip_config_detail::check_writable(config, path);
  nlohmann::ordered_json vision{{"image_size", config.image},
                                {"layers", config.vision.layers},
                                {"width", config.vision.width},
                                {"patch_size", config.patch},
                                {"head_width", config.vision.width / config.vision.heads},
                                {"mlp_ratio", clip_config_detail::mlp_ratio(config.vision)}};
  nlohmann::ordered_json text{{"context_length", config.context},
                              {"vocab_size", config.vocabulary},
                              {"width", config.text.width},
                              {"heads", config.text.heads},
                              {"layers", config.text.layers}};
  if (config.text.hidden != 4 * config.text.width) { text["mlp_ratio"] = clip_config_detail::mlp_ratio(config.text); }
  if (config.pooling == TextPooling::eos && config.eos_token_id != config.vocabulary - 1) {
    // With the last id of the vocabulary, eos and argmax pool the same position, and argmax is open_clip's default.
    text["pool_type"] = "eos";
    text["eos_id"] = config.eos_token_id;
  }
  if (config.layer_norm_eps != 1e-5) {
    vision["norm_kwargs"] = {{"eps", config.layer_norm_eps}};
    text["norm_kwargs"] = {{"eps", config.layer_norm_eps}};
  }
  if (config.activation == Activation::gelu_tanh) {
    vision["act_kwargs"] = {{"approximate", "tanh"}};
    text["act_kwargs"] = {{"approximate", "tanh"}};
  }
  nlohmann::ordered_json model;
  model["embed_dim"] = config.embed;
  model["vision_cfg"] = vision;
  model["text_cfg"] = text;
  if (config.activation == Activation::quick_gelu) { model["quick_gelu"] = true; }
  // Only a value that is neither project's rounding of ln(1/0.07) was chosen by somebody.
  if (std::abs(config.logit_scale_init - std::log(1 / 0.07)) > 1e-4) {
    model["init_logit_scale"] = config.logit_scale_init;
  }
  nlohmann::ordered_json document;
  document["model_cfg"] = model;
  document["preprocess_cfg"] = preprocess_cfg(preprocess);
  write_text_atomically(path, document.dump(2) + "\n");
}

}  // namespace radapt
