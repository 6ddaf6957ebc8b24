#pragma once
/// Programs that take a checkpoint folder: its architecture, its preprocessing and its tokenizer.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "radapt/clip/preprocess.hpp"
#include "radapt/clip/tokenizer.hpp"
#include "radapt/io/load_mapped.hpp"
#include "radapt/io/preprocess_config.hpp"

#include "architectures.hpp"

namespace example {

/// The preprocessing that the checkpoint's folder states, or OpenAI's at the model's resolution where it states none.
inline radapt::Preprocess preprocessing_of(const std::filesystem::path& folder, radapt::Index size) {
  if (!std::filesystem::exists(folder / "open_clip_config.json") &&
      !std::filesystem::exists(folder / "preprocessor_config.json")) {
    return radapt::Preprocess::openai(size);
  }
  using Config = radapt::PreprocessConfig;
  const Config config = radapt::read_preprocess_config(folder);
  radapt::Preprocess rules = config.pipeline == Config::Pipeline::transformers ? radapt::Preprocess::huggingface(size)
                                                                               : radapt::Preprocess::openai(size);
  rules.size = config.size;
  rules.resize_mode = config.resize == Config::Resize::shortest  ? radapt::ResizeMode::shortest
                      : config.resize == Config::Resize::longest ? radapt::ResizeMode::longest
                                                                 : radapt::ResizeMode::squash;
  rules.interpolation = config.filter == Config::Filter::nearest    ? radapt::Interpolation::nearest
                        : config.filter == Config::Filter::box      ? radapt::Interpolation::box
                        : config.filter == Config::Filter::bilinear ? radapt::Interpolation::bilinear
                                                                    : radapt::Interpolation::bicubic;
  for (std::size_t c = 0; c < 3; ++c) {
    rules.mean[c] = static_cast<float>(config.mean[c]);
    rules.std[c] = static_cast<float>(config.std[c]);
  }
  rules.fill = config.fill;
  if (rules.size != size) {
    radapt::fail({.what = "the preprocessing in '" + folder.string() + "'",
                  .expected = std::to_string(size) + " pixels, the model's resolution",
                  .got = std::to_string(rules.size),
                  .hint = "Use the files that belong to this checkpoint"});
  }
  return rules;
}

/// What an error says, to be part of another one.
inline std::string words_of(const radapt::error& e) {
  constexpr std::string_view sender = "radapt: ";
  const std::string_view words = e.what();
  return std::string(words.starts_with(sender) ? words.substr(sender.size()) : words);
}

/// The tokenizer in `vocabulary` when given, else the one beside the weights, for a model of architecture Arch. Errors:
/// none is there, it has more tokens than the model.
template <class Arch>
radapt::Tokenizer tokenizer_of(const std::filesystem::path& folder, const std::string& vocabulary) {
  const std::filesystem::path from = vocabulary.empty() ? folder : std::filesystem::path(vocabulary);
  const auto open = [&] {
    if (!vocabulary.empty() && !std::filesystem::is_directory(from)) { return radapt::Tokenizer::from_bpe_file(from); }
    try {
      return radapt::Tokenizer::from_folder(from);
    } catch (const radapt::error& e) {
      if (!vocabulary.empty()) { throw; }
      radapt::fail({.what = "the tokenizer beside the weights",
                    .expected = "one that can be read",
                    .got = "an error: " + words_of(e),
                    .hint = "--vocabulary names another: a folder, or CLIP's BPE file"});
    }
  };
  radapt::Tokenizer tokenizer = open();
  if (tokenizer.vocabulary_size() > static_cast<std::int64_t>(Arch::vocabulary)) {
    radapt::fail({.what = "the tokenizer in '" + from.string() + "'",
                  .expected = "at most " + std::to_string(Arch::vocabulary) + " tokens, which the model has",
                  .got = std::to_string(tokenizer.vocabulary_size()),
                  .hint = "Use the tokenizer that the model was trained with"});
  }
  return tokenizer;
}

}  // namespace example
