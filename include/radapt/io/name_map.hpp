#pragma once
/// What the tensors of a CLIP are called by open_clip, OpenAI and transformers (clip_compat.md 2.1).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/safetensors.hpp"

/// Tensor names of foreign checkpoints. "Our" names are those of radapt's own parameter tree, which are open_clip's.
namespace radapt::names {

/// Who named the tensors of a checkpoint.
enum class Origin {
  open_clip,         ///< our names
  openai,            ///< our names, and three scalars that describe the model
  huggingface,       ///< transformers' CLIPModel: q, k and v apart, both projections transposed
  custom_text_clip,  ///< open_clip's CustomTextCLIP: everything of the text tower under `text.`
};

/// The origin as a word for messages.
constexpr std::string_view name_of(Origin origin) {
  switch (origin) {
    case Origin::open_clip:
      return "open_clip";
    case Origin::openai:
      return "OpenAI";
    case Origin::huggingface:
      return "transformers";
    case Origin::custom_text_clip:
      return "open_clip CustomTextCLIP";
  }
  return "unknown";
}

/// The towers that somebody is interested in; `logit_scale` belongs to both together only.
enum class Tower { both, image, text };

/// The tensors of an origin that make up one of ours.
struct Source {
  std::vector<std::string> names;  ///< one, or three whose rows follow each other (q, k, v)
  bool transposed = false;         ///< theirs is [columns, rows]

  /// The shape of each of them, when ours has `shape`; nothing if ours cannot be made so.
  std::optional<std::vector<std::uint64_t>> part_shape(std::vector<std::uint64_t> shape) const {
    if (transposed) {
      if (shape.size() != 2) { return std::nullopt; }
      std::swap(shape[0], shape[1]);
    } else if (names.size() > 1) {
      if (shape.empty() || shape[0] % names.size() != 0) { return std::nullopt; }
      shape[0] /= names.size();
    }
    return shape;
  }
};

namespace detail {

using Pair = std::pair<std::string_view, std::string_view>;

/// Ours and transformers' names outside the blocks.
inline constexpr std::array<Pair, 14> top_names{{
    {"logit_scale", "logit_scale"},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.weight", "text_model.final_layer_norm.weight"},
    {"ln_final.bias", "text_model.final_layer_norm.bias"},
    {"text_projection", "text_projection.weight"},
    {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
    {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"},  // transformers misspells it so
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
    {"visual.proj", "visual_projection.weight"},
}};

/// Ours and transformers' names of what stands in a block, without `.weight` or `.bias`.
inline constexpr std::array<Pair, 5> block_names{{
    {"ln_1", "layer_norm1"},
    {"ln_2", "layer_norm2"},
    {"attn.out_proj", "self_attn.out_proj"},
    {"mlp.c_fc", "mlp.fc1"},
    {"mlp.c_proj", "mlp.fc2"},
}};

/// The parts of a name of ours inside a block: `visual.` or nothing, the digits of the block, and the rest.
struct BlockName {
  bool image = false;
  std::string_view number, rest;
};

inline std::optional<BlockName> split_block_name(std::string_view name) {
  constexpr std::string_view image_prefix = "visual.", blocks = "transformer.resblocks.";
  BlockName parts;
  if (name.starts_with(image_prefix)) {
    parts.image = true;
    name.remove_prefix(image_prefix.size());
  }
  if (!name.starts_with(blocks)) { return std::nullopt; }
  name.remove_prefix(blocks.size());
  const std::size_t dot = std::min(name.find_first_not_of("0123456789"), name.size());
  if (dot == 0 || dot == name.size() || name[dot] != '.') { return std::nullopt; }
  parts.number = name.substr(0, dot);
  parts.rest = name.substr(dot + 1);
  return parts;
}

inline std::optional<Source> huggingface_source(std::string_view ours) {
  for (const auto& [name, theirs] : top_names) {
    if (name == ours) { return Source{{std::string(theirs)}, ours == "text_projection" || ours == "visual.proj"}; }
  }
  const auto parts = split_block_name(ours);
  if (!parts) { return std::nullopt; }
  const std::string block =
      std::string(parts->image ? "vision_model" : "text_model") + ".encoder.layers." + std::string(parts->number) + ".";
  for (const std::string_view kind : {std::string_view("weight"), std::string_view("bias")}) {
    if (parts->rest == "attn.in_proj_" + std::string(kind)) {
      Source source;
      for (const char letter : {'q', 'k', 'v'}) {
        source.names.push_back(block + "self_attn." + letter + "_proj." + std::string(kind));
      }
      return source;
    }
    for (const auto& [name, theirs] : block_names) {
      if (parts->rest == std::string(name) + "." + std::string(kind)) {
        return Source{{block + std::string(theirs) + "." + std::string(kind)}, false};
      }
    }
  }
  return std::nullopt;
}

/// Whether open_clip's CustomTextCLIP keeps this tensor of ours under `text.`.
inline bool belongs_to_text_tower(std::string_view ours) {
  return ours == "text_projection" || ours == "positional_embedding" || ours.starts_with("token_embedding.") ||
         ours.starts_with("transformer.") || ours.starts_with("ln_final.");
}

}  // namespace detail

/// Which tensors of `origin` make up our tensor `ours`; nothing if the origin has no such tensor (transformers knows
/// exactly the tensors of a CLIP; the others take any name).
inline std::optional<Source> source_of(std::string_view ours, Origin origin) {
  if (origin == Origin::huggingface) { return detail::huggingface_source(ours); }
  const bool prefixed = origin == Origin::custom_text_clip && detail::belongs_to_text_tower(ours);
  return Source{{(prefixed ? "text." : "") + std::string(ours)}, false};
}

/// Whether our tensor is a position embedding, whose number of rows may differ between model and file.
inline bool is_position_embedding(std::string_view ours) {
  return ours == "positional_embedding" || ours == "visual.positional_embedding";
}

/// A name without the `module.` that distributed training puts before every name.
inline std::string_view without_module(std::string_view name) {
  constexpr std::string_view prefix = "module.";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

/// Whether a tensor of a checkpoint holds no weights: position numbers, which old transformers files carry, and the
/// sizes in OpenAI's. `name` is without `module.`.
inline bool is_ignorable(std::string_view name) {
  return name == "position_ids" || name.ends_with(".position_ids") || name == "input_resolution" ||
         name == "context_length" || name == "vocab_size";
}

/// The tower of a tensor of a checkpoint, by its name without `module.`; both for what belongs to neither alone.
inline Tower tower_of(std::string_view name, Origin origin) {
  if (origin == Origin::huggingface) {
    if (name.starts_with("vision_model.") || name.starts_with("visual_projection.")) { return Tower::image; }
    return name.starts_with("text_model.") || name.starts_with("text_projection.") ? Tower::text : Tower::both;
  }
  if (name.starts_with("visual.")) { return Tower::image; }
  if (origin == Origin::custom_text_clip) { return name.starts_with("text.") ? Tower::text : Tower::both; }
  return detail::belongs_to_text_tower(name) ? Tower::text : Tower::both;
}

/// Whose names a checkpoint has. Errors: it holds no tensor of a CLIP, or one with towers of the timm library.
inline Origin detect(const safetensors::File& file) {
  bool timm = false, huggingface = false, custom_text = false, plain = false, sizes = false;
  for (const auto& [stored, tensor] : file.tensors()) {
    const std::string_view name = without_module(stored);
    timm = timm || name.starts_with("visual.trunk.");
    huggingface = huggingface || name.starts_with("text_model.") || name.starts_with("vision_model.");
    custom_text = custom_text || (name.starts_with("text.") && detail::belongs_to_text_tower(name.substr(5)));
    plain = plain || name == "visual.proj" || name == "visual.conv1.weight" ||
            name.starts_with("visual.transformer.") || detail::belongs_to_text_tower(name);
    sizes = sizes || name == "input_resolution" || name == "context_length" || name == "vocab_size";
  }
  const std::string what = "recognising the tensor names of '" + file.name() + "'";
  constexpr const char* known = "those of a CLIP from open_clip, OpenAI or transformers";
  if (timm) {
    fail({.what = what,
          .expected = known,
          .got = "an image tower of timm (visual.trunk.*)",
          .hint = "Only CLIP's own vision transformers can be loaded"});
  }
  if (huggingface) { return Origin::huggingface; }
  if (custom_text) { return Origin::custom_text_clip; }
  if (!plain) {
    fail({.what = what,
          .expected = known,
          .got = file.tensors().empty() ? std::string("no tensor at all")
                                        : std::to_string(file.tensors().size()) + " others, the first " +
                                              quoted_name(file.tensors().begin()->first),
          .hint = {}});
  }
  return sizes ? Origin::openai : Origin::open_clip;
}

}  // namespace radapt::names
