#pragma once
/// LoRA adapters as Hugging Face's PEFT stores them for transformers' CLIPModel: adapter_model.safetensors and
/// adapter_config.json in a folder.
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/adapter/lora.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/io/atomic_file.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/json_fields.hpp"
#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"
#include "radapt/io/wanted_tensors.hpp"

namespace radapt {

/// What an adapter_config.json says of its LoRA.
struct PeftLoraConfig {
  Index rank = 0;
  double alpha = 0;              ///< lora_alpha
  bool rank_stabilised = false;  ///< use_rslora: s = alpha / sqrt(r) in the place of alpha / r
  double dropout = 0;            ///< lora_dropout, which acted on the inputs of A while training; radapt has none

  /// s, what B A is multiplied with.
  double scaling() const {
    return rank_stabilised ? rank_stabilised_scale::of(alpha, rank) : lora_scale::of(alpha, rank);
  }
};

namespace detail {

/// Our name of a LoRA tensor as PEFT's: `visual.transformer.resblocks.0.attn.in_proj_q.lora_A` is
/// `base_model.model.vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight`.
inline std::string peft_name(const std::string& ours) {
  std::string name = ours + ".weight";
  const auto replace = [&name](std::string_view from, std::string_view to) {
    if (const auto at = name.find(from); at != std::string::npos) { name.replace(at, from.size(), to); }
  };
  const bool image = name.starts_with("visual.");
  replace("visual.", "");
  replace("transformer.resblocks.",
          image ? "base_model.model.vision_model.encoder.layers." : "base_model.model.text_model.encoder.layers.");
  replace(".attn.", ".self_attn.");
  for (const char* slice : {"q", "k", "v"}) {
    replace(std::string(".in_proj_") + slice + ".", std::string(".") + slice + "_proj.");
  }
  replace(".c_fc.", ".fc1.");
  replace(".c_proj.", ".fc2.");
  return name;
}

/// The module of a PEFT tensor, `q_proj`.
inline std::string peft_module(const std::string& name) {
  const auto end = name.rfind(".lora_");
  const auto begin = name.rfind('.', end - 1);
  return name.substr(begin + 1, end - begin - 1);
}

inline bool is_lora_factor(const std::string& name) { return name.ends_with(".lora_A") || name.ends_with(".lora_B"); }

}  // namespace detail

/// Reads an adapter_config.json. Errors: no LoRA, or a LoRA of a kind that is not W + s B A everywhere (DoRA, ranks or
/// alphas by pattern, trained biases, other modules saved along, a first B A that PEFT takes out of W as PiSSA's).
inline PeftLoraConfig read_peft_lora_config(const std::filesystem::path& path) {
  const nlohmann::json document = read_json(path);
  const JsonFields fields(document, path.string());
  fields.require("peft_type", "LORA");
  if (!fields.has_value("peft_type")) { fields.wrong_value("peft_type", "\"LORA\""); }
  fields.require("bias", "none");
  fields.require("use_dora", false);
  fields.require("fan_in_fan_out", false);
  for (const char* key : {"rank_pattern", "alpha_pattern"}) { fields.require(key, nlohmann::json::object()); }
  fields.require("modules_to_save", nlohmann::json::array());
  fields.require("alora_invocation_tokens", nlohmann::json());
  // These change A and B alone. All others change W too, and PEFT does that again when it loads.
  const nlohmann::json* const first = fields.find("init_lora_weights");
  if (first != nullptr && !first->is_null() && !first->is_boolean() && *first != "gaussian" && *first != "orthogonal" &&
      *first != "eva") {
    fields.wrong_value("init_lora_weights",
                       "true, false, 'gaussian', 'orthogonal' or 'eva', which leave the base as it is");
  }
  return {.rank = fields.whole("r", 1, 1U << 20),
          .alpha = fields.number("lora_alpha", -1e30, 1e30),
          .rank_stabilised = fields.boolean("use_rslora", false),
          .dropout = fields.number("lora_dropout", 0.0, 1.0, 0.0)};
}

namespace detail {
/// What the type of a model says about its LoRA.
template <class Policy>
struct lora_description {};
template <Index R, class Targets, class Scale, class Towers>
struct lora_description<Lora<R, Targets, Scale, Towers>> {
  static constexpr Index rank = R;
  using scale = Scale;
  using towers = Towers;
};
template <class Policy, class What>
struct lora_description<Recomputed<Policy, What>> : lora_description<Policy> {};
template <class Policy>
concept has_lora = requires {
  lora_description<Policy>::rank;
};
}  // namespace detail

/// Writes the LoRA of `weights`, and nothing else, atomically, in the element type of the weights. `base_model` is the
/// name or path of the model that it belongs to, for the configuration; PEFT reads it, radapt does not.
template <class Arch, class Policy, class Unlock, class T>
requires detail::has_lora<Policy>
void save_peft(const std::filesystem::path& folder, const Weights<Clip<Arch, Policy, Unlock>, T>& weights,
               const std::string& base_model = "") {
  constexpr Index R = detail::lora_description<Policy>::rank;
  using Scale = typename detail::lora_description<Policy>::scale;
  using Towers = typename detail::lora_description<Policy>::towers;
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  std::map<std::string, safetensors::Entry> entries;
  std::set<std::string> modules;
  double scaling = 0;
  for (const Tensor<const T>& tensor : weights.tensors()) {
    if (tensor.name().ends_with("lora_scaling")) { scaling = static_cast<double>(*tensor.data); }
    if (!detail::is_lora_factor(tensor.name())) { continue; }
    const std::string name = detail::peft_name(tensor.name());
    modules.insert(detail::peft_module(name));
    entries[name] = {.dtype = sizeof(T) == 8 ? safetensors::DType::F64 : safetensors::DType::F32,
                     .shape = safetensors::shape_of(tensor),
                     .data = std::as_bytes(std::span<const T>(tensor.data, tensor.size()))};
  }
  constexpr bool stabilised = std::is_same_v<Scale, rank_stabilised_scale>;
  nlohmann::ordered_json config{{"peft_type", "LORA"},
                                {"task_type", nullptr},
                                {"base_model_name_or_path", base_model},
                                {"inference_mode", true},
                                {"r", R},
                                {"lora_alpha", scaling / Scale::of(1.0, R)},
                                {"lora_dropout", 0.0},
                                {"target_modules", modules},
                                {"bias", "none"},
                                {"fan_in_fan_out", false},
                                {"use_rslora", stabilised}};
  if (!Towers::template has<role::tower::image> || !Towers::template has<role::tower::text>) {
    // Module names are the same in both towers: a pattern tells which one it is.
    std::string pattern;
    for (const std::string& module : modules) { pattern += (pattern.empty() ? "" : "|") + module; }
    config["target_modules"] = std::string(".*") +
                               (Towers::template has<role::tower::image> ? "vision_model" : "text_model") + ".*\\.(" +
                               pattern + ")";
  }
  std::filesystem::create_directories(folder);
  safetensors::write(folder / "adapter_model.safetensors", entries, {{"format", "pt"}});
  write_text_atomically(folder / "adapter_config.json", config.dump(2) + "\n");
}

/// Reads a LoRA that PEFT or save_peft wrote for a CLIPModel into `weights`, s included, and returns its configuration.
/// Nothing is changed unless everything fits. Errors: see read_peft_lora_config; another rank; and in one message all
/// missing, unexpected and misshapen tensors.
template <class Arch, class Policy, class Unlock, class T>
requires detail::has_lora<Policy> PeftLoraConfig load_peft(const std::filesystem::path& folder,
                                                           Weights<Clip<Arch, Policy, Unlock>, T>& weights) {
  constexpr Index R = detail::lora_description<Policy>::rank;
  const std::string what = "loading the LoRA in '" + folder.string() + "'";
  const PeftLoraConfig config = read_peft_lora_config(folder / "adapter_config.json");
  if (config.rank != R) {
    fail({.what = what,
          .expected = "rank " + std::to_string(R) + ", as the model's type says",
          .got = std::to_string(config.rank),
          .hint = "Choose Lora<" + std::to_string(config.rank) + ", ...>"});
  }
  const safetensors::File file = safetensors::open(folder / "adapter_model.safetensors");
  const std::vector<Tensor<T>> tensors = weights.tensors();
  safetensors::WantedTensors wanted(file, what);
  for (const Tensor<T>& tensor : tensors) {
    if (detail::is_lora_factor(tensor.name())) {
      wanted.check(detail::peft_name(tensor.name()), safetensors::shape_of(tensor));
    }
  }
  wanted.finish("the LoRA of the model's type", "Choose the on<site::q, site::v, ...> and the towers that fit");
  std::map<const T*, std::vector<T>> values;  // conversion may still fail; weights change only after it
  for (const Tensor<T>& tensor : tensors) {
    if (detail::is_lora_factor(tensor.name())) { values[tensor.data] = file.read<T>(detail::peft_name(tensor.name())); }
  }
  for (const Tensor<T>& tensor : tensors) {
    if (tensor.name().ends_with("lora_scaling")) { *tensor.data = static_cast<T>(config.scaling()); }
    if (const auto found = values.find(tensor.data); found != values.end()) {
      std::copy(found->second.begin(), found->second.end(), tensor.data);
    }
  }
  return config;
}

}  // namespace radapt
