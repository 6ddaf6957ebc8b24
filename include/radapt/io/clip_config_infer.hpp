#pragma once
/// A CLIP's sizes from the shapes of its tensors alone (clip_compat.md 2.1).
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/clip_config_data.hpp"
#include "radapt/io/name_map.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors.hpp"

namespace radapt {

namespace clip_config_detail {

/// Shapes of a checkpoint under our names.
class Shapes {
 public:
  Shapes(const safetensors::File& file, names::Origin origin) : file_(&file), origin_(origin) {
    for (const auto& [name, tensor] : file.tensors()) {
      const std::string_view plain = names::without_module(name);
      tensors_.emplace(std::string(plain), &tensor);
    }
  }

  /// Extents of the first tensor of the origin that makes up ours, turned the way ours is; `rank` of them.
  std::vector<Index> of(const std::string& ours, std::size_t rank) const {
    const auto source = names::source_of(ours, origin_);
    const std::string name = source ? source->names[0] : ours;
    const auto found = tensors_.find(name);
    const std::string what = "inferring the sizes of '" + file_->name() + "'";
    if (found == tensors_.end()) {
      fail({.what = what, .expected = "a tensor " + quoted_name(name), .got = "none", .hint = {}});
    }
    std::vector<std::uint64_t> shape = found->second->shape;
    bool good = shape.size() == rank;
    for (const std::uint64_t extent : shape) { good = good && extent > 0 && extent < (std::uint64_t{1} << 30); }
    if (!good) {
      fail({.what = what + ": tensor " + quoted_name(name),
            .expected = std::to_string(rank) + " extents above 0 and below 2^30",
            .got = safetensors::spell(shape),
            .hint = {}});
    }
    if (source && source->transposed) { std::swap(shape[0], shape[1]); }
    return {shape.begin(), shape.end()};
  }

  /// Blocks of a tower, by its out_proj weights. Error: their numbers have gaps.
  Index layers(const std::string& prefix) const {
    std::set<std::string> present;
    for (const auto& [name, tensor] : tensors_) { present.insert(name); }
    const auto source_at = [&](Index i) {
      const std::string ours = prefix + "transformer.resblocks." + std::to_string(i) + ".attn.out_proj.weight";
      return names::source_of(ours, origin_)->names[0];
    };
    Index count = 0;
    while (present.count(source_at(count)) != 0) { ++count; }
    // What stands around the number is the same for every block.
    const std::string first = source_at(0);
    const std::size_t digit = first.find(".0.") + 1;
    const std::string before = first.substr(0, digit), after = first.substr(digit + 1);
    Index blocks = 0;
    for (const std::string& name : present) {
      if (name.size() > before.size() + after.size() && name.starts_with(before) && name.ends_with(after)) { ++blocks; }
    }
    if (count == 0 || blocks != count) {
      fail({.what = "inferring the sizes of '" + file_->name() + "'",
            .expected = "blocks numbered from 0 without a gap",
            .got = std::to_string(blocks) + " blocks, " + std::to_string(count) + " of them up to the first gap",
            .hint = {}});
    }
    return count;
  }

 private:
  const safetensors::File* file_;
  names::Origin origin_;
  std::map<std::string, const safetensors::Tensor*> tensors_;
};

/// Heads that go with a width in every published model: 16 for the wide image towers, else one per 64; 0 if unknown.
inline Index usual_heads(Index width) {
  for (const Index wide : {Index{1280}, Index{1408}, Index{1664}, Index{1792}}) {
    if (width == wide) { return 16; }
  }
  return width % 64 == 0 ? width / 64 : 0;
}

}  // namespace clip_config_detail

/// The sizes of a checkpoint without a configuration file. Shapes tell neither the activation (activation_known is
/// false) nor the number of heads, which is the one that published models of that width have, or 0; the epsilon and the
/// pooling are the usual ones. Errors: a tensor is missing or has another rank, blocks are missing, the position
/// embedding is no square grid with a class row.
inline ClipConfig infer_clip_config(const safetensors::File& file, names::Origin origin) {
  namespace detail = clip_config_detail;
  const detail::Shapes shapes(file, origin);
  ClipConfig config;
  config.activation_known = false;
  const std::vector<Index> convolution = shapes.of("visual.conv1.weight", 4);
  if (convolution[1] != 3 || convolution[2] != convolution[3]) {
    fail({.what = "inferring the sizes of '" + file.name() + "'",
          .expected = "square patches of 3 channels",
          .got = std::to_string(convolution[1]) + " channels of " + std::to_string(convolution[2]) + " x " +
                 std::to_string(convolution[3]),
          .hint = {}});
  }
  config.vision.width = convolution[0];
  config.patch = convolution[3];
  const Index positions = shapes.of("visual.positional_embedding", 2)[0];
  const auto grid = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(positions - 1))));
  if (grid == 0 || grid * grid + 1 != positions) {
    fail({.what = "inferring the sizes of '" + file.name() + "'",
          .expected = "a position embedding of a square grid and the class row",
          .got = std::to_string(positions) + " rows",
          .hint = {}});
  }
  config.image = config.patch * grid;
  config.vision.heads = detail::usual_heads(config.vision.width);
  config.vision.layers = shapes.layers("visual.");
  config.vision.hidden = shapes.of("visual.transformer.resblocks.0.mlp.c_fc.weight", 2)[0];
  config.text.width = shapes.of("ln_final.weight", 1)[0];
  config.text.heads = config.text.width % 64 == 0 ? config.text.width / 64 : 0;
  config.text.layers = shapes.layers("");
  config.text.hidden = shapes.of("transformer.resblocks.0.mlp.c_fc.weight", 2)[0];
  config.embed = shapes.of("text_projection", 2)[1];
  config.context = shapes.of("positional_embedding", 2)[0];
  config.vocabulary = shapes.of("token_embedding.weight", 2)[0];
  config.eos_token_id = config.vocabulary - 1;
  check_clip_config(config, "inferring the sizes of '" + file.name() + "'");
  return config;
}

/// As above, with the origin recognised by its names.
inline ClipConfig infer_clip_config(const safetensors::File& file) {
  return infer_clip_config(file, names::detect(file));
}

}  // namespace radapt
