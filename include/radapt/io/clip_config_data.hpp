#pragma once
/// The sizes and settings of a CLIP checkpoint, as its configuration file states them.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/arch.hpp"
#include "radapt/core/error.hpp"

namespace radapt {

/// Which position of a caption the text tower's output is read from (clip_compat.md 1.2).
enum class TextPooling {
  argmax,  ///< the first largest token id
  eos,     ///< the first position that holds the end-of-text id
};

/// What a configuration says about a CLIP. The defaults are those of transformers for absent keys.
struct ClipConfig {
  Index embed = 512, image = 224, patch = 32;
  TowerSize vision{768, 12, 12, 3072}, text{512, 8, 12, 2048};  ///< heads is 0 where a checkpoint alone cannot tell
  Index context = 77, vocabulary = 49408;
  Activation activation = Activation::quick_gelu;
  bool activation_known = true;  ///< false if inferred from tensors, which do not carry it
  double layer_norm_eps = 1e-5;
  TextPooling pooling = TextPooling::argmax;
  Index eos_token_id = 49407;        ///< of pooling eos
  double logit_scale_init = 2.6592;  ///< logarithm of the scale that training starts with
};

/// The name of an activation as transformers spells it.
constexpr const char* hidden_act(Activation activation) {
  switch (activation) {
    case Activation::quick_gelu:
      return "quick_gelu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_pytorch_tanh";
    case Activation::relu:
      return "relu";
  }
  return "unknown";
}

/// The configuration of an architecture such as arch::ViT_B_32 (see arch::Defaults).
template <class Arch>
ClipConfig clip_config_of() {
  ClipConfig config;
  config.embed = Arch::embed;
  config.image = Arch::image;
  config.patch = Arch::patch;
  config.vision = Arch::vision;
  config.text = Arch::text;
  config.context = Arch::context;
  config.vocabulary = Arch::vocabulary;
  config.activation = Arch::activation;
  config.eos_token_id = Arch::vocabulary - 1;
  return config;
}

/// Fails unless the numbers of `config` describe a CLIP that can be built; `what` begins the message.
inline void check_clip_config(const ClipConfig& config, const std::string& what) {
  // Far above every published model, and small enough that no product of two of them overflows.
  constexpr Index most_width = Index{1} << 16, most_layers = 1024, most_rows = Index{1} << 24;
  const auto within = [&what](const std::string& key, Index value, Index least, Index most) {
    if (value < least || value > most) {
      fail({.what = what + ": " + key,
            .expected = std::to_string(least) + " to " + std::to_string(most),
            .got = std::to_string(value),
            .hint = {}});
    }
  };
  within("embed", config.embed, 1, most_width);
  within("image", config.image, 1, most_width);
  within("patch", config.patch, 1, config.image);
  within("context", config.context, 1, most_width);
  within("vocabulary", config.vocabulary, 1, most_rows);
  if (config.pooling == TextPooling::eos) { within("eos_token_id", config.eos_token_id, 0, config.vocabulary - 1); }
  if (config.image % config.patch != 0) {
    fail({.what = what + ": image",
          .expected = "a multiple of the patch of " + std::to_string(config.patch),
          .got = std::to_string(config.image),
          .hint = {}});
  }
  for (const bool vision : {true, false}) {
    const TowerSize& tower = vision ? config.vision : config.text;
    const std::string name = vision ? "vision." : "text.";
    within(name + "width", tower.width, 1, most_width);
    within(name + "layers", tower.layers, 1, most_layers);
    within(name + "hidden", tower.hidden, 1, 64 * most_width);
    within(name + "heads", tower.heads, 0, tower.width);
    if (tower.heads != 0 && tower.width % tower.heads != 0) {
      fail({.what = what + ": " + name + "heads",
            .expected = "a divisor of the width " + std::to_string(tower.width),
            .got = std::to_string(tower.heads),
            .hint = {}});
    }
  }
  if (!(config.layer_norm_eps > 0 && config.layer_norm_eps < 1)) {
    fail({.what = what + ": layer_norm_eps",
          .expected = "a number between 0 and 1",
          .got = std::to_string(config.layer_norm_eps),
          .hint = {}});
  }
}

/// Where the configuration of a file and that of a type disagree, one sentence each, beginning with the setting's name;
/// empty if they agree. What the file does not know (heads 0, an inferred activation) counts as agreement. Pooling is
/// not compared: both kinds agree on captions that end with the end-of-text token. Nor is the initial logit scale.
inline std::vector<std::string> differences(const ClipConfig& file, const ClipConfig& type) {
  std::vector<std::string> found;
  const auto compare = [&found](const std::string& key, const auto& stated, const auto& wanted) {
    if (stated != wanted) {
      found.push_back(key + ": the file says " + std::to_string(stated) + ", the model has " + std::to_string(wanted));
    }
  };
  compare("embed", file.embed, type.embed);
  compare("image", file.image, type.image);
  compare("patch", file.patch, type.patch);
  for (const bool vision : {true, false}) {
    const TowerSize &stated = vision ? file.vision : file.text, &wanted = vision ? type.vision : type.text;
    const std::string name = vision ? "vision." : "text.";
    compare(name + "width", stated.width, wanted.width);
    if (stated.heads != 0 && wanted.heads != 0) { compare(name + "heads", stated.heads, wanted.heads); }
    compare(name + "layers", stated.layers, wanted.layers);
    compare(name + "hidden", stated.hidden, wanted.hidden);
  }
  compare("context", file.context, type.context);
  compare("vocabulary", file.vocabulary, type.vocabulary);
  if (file.activation_known && type.activation_known && file.activation != type.activation) {
    found.push_back(std::string("activation: the file says ") + hidden_act(file.activation) + ", the model has " +
                    hidden_act(type.activation));
  }
  // Configurations state 1e-5 or 1e-6; a relative millionth only absorbs how the number was spelled.
  if (std::abs(file.layer_norm_eps - type.layer_norm_eps) > 1e-6 * type.layer_norm_eps) {
    found.push_back("layer_norm_eps: the file says " + std::to_string(file.layer_norm_eps * 1e6) +
                    "e-6, the model has " + std::to_string(type.layer_norm_eps * 1e6) + "e-6");
  }
  return found;
}

}  // namespace radapt
