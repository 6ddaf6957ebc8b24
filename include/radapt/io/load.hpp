#pragma once
/// Loading a CLIP from a checkpoint of open_clip, OpenAI or transformers, and saving one that they can load.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "radapt/clip/clip.hpp"
#include "radapt/clip/with_adapters.hpp"  // what comes next, for who trains
#include "radapt/io/clip_config.hpp"
#include "radapt/io/names.hpp"
#include "radapt/io/position_embedding.hpp"
#include "radapt/io/preprocess_config.hpp"
#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"

namespace radapt {

struct LoadOptions {
  std::optional<names::Origin> origin{};         ///< whose names; read off the tensors when empty
  GridResize positions = GridResize::open_clip;  ///< rule for another resolution than the checkpoint's
  bool ignore_config = false;                    ///< load although the configuration says another model
};

namespace detail {

inline void check_config(const std::filesystem::path& path, const ClipConfig& type) {
  const std::filesystem::path folder = std::filesystem::is_directory(path) ? path : path.parent_path();
  std::error_code ignored;
  if (!std::filesystem::exists(folder / "open_clip_config.json", ignored) &&
      !std::filesystem::exists(folder / "config.json", ignored)) {
    return;  // a state dict alone does not tell its activation; the type does
  }
  ClipConfig file = read_clip_config(folder);
  file.image = type.image;  // another resolution is resized, not refused
  const std::vector<std::string> differing = differences(file, type);
  if (differing.empty()) { return; }
  std::string list;
  for (const std::string& d : differing) { list += (list.empty() ? "" : "; ") + d; }
  fail({.what = "loading '" + path.string() + "'",
        .expected = "the architecture of the type",
        .got = list,
        .hint = "Choose the architecture that fits (arch::quickgelu<...> for QuickGELU), or set ignore_config"});
}

/// Writes a tensor as the checkpoint has it; position embeddings of another size are resized.
template <class Arch, class T>
void read_tensor(const Tensor<T>& tensor, const names::Assembly& assembly, GridResize rule) {
  const Index size = assembly.stored_size(tensor.name());
  if (size == tensor.size()) { return assembly.copy(tensor.name(), tensor.data); }
  std::vector<T> stored(size);
  assembly.copy(tensor.name(), stored.data());
  const std::vector<T> resized =
      tensor.name().starts_with("visual.")
          ? resize_image_positions(std::span<const T>(stored), Arch::vision.width, Arch::image / Arch::patch, rule)
          : resize_text_positions(std::span<const T>(stored), Arch::text.width, Arch::context);
  std::copy(resized.begin(), resized.end(), tensor.data);
}

/// Opens a checkpoint of plain CLIP M, and compares its configuration with the type.
template <class M>
safetensors::File open_checkpoint(const std::filesystem::path& path, const LoadOptions& options) {
  static_assert(
      std::is_same_v<typename M::policy, NoAdapter>,
      "radapt: a checkpoint holds a plain CLIP; to fix: load Clip<Arch> and use with_adapters<Policy>(weights).");
  if (!options.ignore_config) { check_config(path, clip_config_of<typename M::arch>()); }
  return safetensors::open(path);
}

/// The checkpoint's tensors compared with those of a model.
template <class T>
names::Assembly assemble(const safetensors::File& file, const std::vector<Tensor<T>>& tensors,
                         const LoadOptions& options) {
  std::vector<names::Wanted> wanted;
  for (const Tensor<T>& tensor : tensors) { wanted.push_back({tensor.name(), safetensors::shape_of(tensor)}); }
  return {file, options.origin.value_or(names::detect(file)), wanted};
}

}  // namespace detail

/// Weights of plain CLIP `M` from a safetensors file, a sharded index, or a folder that holds either. All missing,
/// unexpected and misshapen tensors are in one error. Where a configuration lies beside the weights it is compared with
/// the type, the activation included. Position embeddings of another resolution or context are resized
/// (clip_compat.md 2.1). What is only run need not be copied: see load_mapped.
template <class M, class T = float>
Weights<M, T> load(const std::filesystem::path& path, const LoadOptions& options = {}) {
  const safetensors::File file = detail::open_checkpoint<M>(path, options);
  Weights<M, T> weights;
  const auto tensors = weights.tensors();
  const names::Assembly assembly = detail::assemble(file, tensors, options);
  for (const Tensor<T>& tensor : tensors) {
    detail::read_tensor<typename M::arch>(tensor, assembly, options.positions);
  }
  return weights;
}

/// Writes weights under the names of `origin`, stored as F32, F16 or BF16, with the configuration that goes with them:
/// model.safetensors and config.json for transformers, open_clip_model.safetensors and open_clip_config.json otherwise.
/// Every file is written atomically. The tokenizer's files are not among them: copy_tokenizer_files
/// (io/tokenizer_files.hpp) takes them from the checkpoint that the weights came from. Error: weights under the names
/// of the other origin lie in the folder, which would then hold two models.
///
/// `preprocess` are the means, deviations and filter to state, OpenAI's unless given: take those of the checkpoint that
/// the weights came from (read_preprocess_config), which may have others.
template <class M, class T>
void save(const std::filesystem::path& folder, const Weights<M, T>& weights,
          names::Origin origin = names::Origin::open_clip, safetensors::DType type = safetensors::DType::F32,
          PreprocessConfig preprocess = {}) {
  std::map<std::string, names::Values<T>> tensors;
  for (const Tensor<const T>& tensor : weights.tensors()) {
    names::Values<T> values;
    values.shape = safetensors::shape_of(tensor);
    values.data = tensor.data;
    tensors.emplace(tensor.name(), values);
  }
  const bool huggingface = origin == names::Origin::huggingface;
  const char* const files[] = {"open_clip_model.safetensors", "model.safetensors"};
  if (std::filesystem::exists(folder / files[huggingface ? 0 : 1])) {
    fail({.what = "saving into '" + folder.string() + "'",
          .expected = std::string("a folder without '") + files[huggingface ? 0 : 1] + "'",
          .got = "that file",
          .hint = "It is another checkpoint, of which loading takes one. Remove it, or choose another folder"});
  }
  const auto exported = names::export_tensors(tensors, origin, type);
  std::filesystem::create_directories(folder);
  const ClipConfig config = clip_config_of<typename M::arch>();
  preprocess.size = M::arch::image;
  safetensors::write(folder / files[huggingface ? 1 : 0], exported.entries());
  if (huggingface) {
    write_hf_config(folder / "config.json", config);
    write_preprocessor_config(folder / "preprocessor_config.json", preprocess);
  } else {
    write_open_clip_config(folder / "open_clip_config.json", config, preprocess);
  }
}

}  // namespace radapt
