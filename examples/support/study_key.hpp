#pragma once
/// What tells the runs of one study from those of another: short texts that differ when what they depend on does.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "radapt/core/digest.hpp"

#include "fine_tune_report.hpp"

namespace example {

/// 16 hexadecimal digits that differ when the text does (FNV-1a).
inline std::string digest(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char letter : text) { hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3U; }
  return fmt::format("{:016x}", hash);
}

/// The names and sizes of the files below a folder, in 16 digits; nothing for what is not there.
inline std::string listing_digest(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  std::filesystem::recursive_directory_iterator at(folder, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) { continue; }
    files.push_back(fmt::format("{} {}", at->path().lexically_relative(folder).string(), at->file_size(ignored)));
  }
  std::sort(files.begin(), files.end());
  return files.empty() ? std::string() : digest(fmt::format("{}", fmt::join(files, "\n")));
}

/// The bytes of the weights in a checkpoint folder, in 16 digits. They are read once in a run.
inline const std::string& weights_digest(const std::filesystem::path& folder) {
  static std::map<std::filesystem::path, std::string> known;
  const auto [found, is_first] = known.try_emplace(folder);
  if (!is_first) { return found->second; }
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() == ".safetensors") { files.push_back(at->path()); }
  }
  std::sort(files.begin(), files.end());
  radapt::Digest all;
  std::vector<std::byte> block(std::size_t{1} << 20U);
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    while (file.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size())),
           file.gcount() > 0) {
      const std::span<const std::byte> part(block.data(), static_cast<std::size_t>(file.gcount()));
      all.add(part);
      all.add(part.size());
    }
  }
  return found->second = all.text();
}

/// A path as the system knows it; nothing for an empty one.
inline std::string place(const std::filesystem::path& path) {
  std::error_code ignored;
  return path.empty() ? std::string() : std::filesystem::weakly_canonical(path, ignored).string();
}

/// What the pre-trained model depends on: settings, and what lies where they point.
inline std::string pretraining_key(const FineTuneSettings& s) {
  std::string domains = listing_digest(s.data / s.id);
  for (const std::string& name : s.ood) { domains += " " + listing_digest(s.data / name); }
  return digest(fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {}", place(s.data), s.id, fmt::join(s.ood, ","),
                            domains, place(s.vocabulary), place(s.from), s.from.empty() ? "" : weights_digest(s.from),
                            s.study.batch, s.pretrain_steps, s.pretrain_lr, s.pretraining_share.value_or(-1),
                            s.pretraining_crop, s.limit, s.split_seed));
}

/// What one fine-tuning depends on beside that, its method, its seed and its rate.
inline std::string run_key(const FineTuneSettings& s) {
  return digest(fmt::format("{} {} {} {} {} {} {}", pretraining_key(s), s.study.steps, s.study.micro_batch,
                            s.study.momentum, s.study.tau, s.crop, s.device));
}

}  // namespace example
