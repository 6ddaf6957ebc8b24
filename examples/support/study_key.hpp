#pragma once
/// What tells the runs of one study from those of another: short texts that differ when what they depend on does.
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fine_tune_report.hpp"

namespace example {

/// 16 hexadecimal digits that differ when the text does (FNV-1a).
inline std::string digest(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char letter : text) { hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3U; }
  return fmt::format("{:016x}", hash);
}

/// What the pre-trained model depends on.
inline std::string pretraining_key(const FineTuneSettings& s) {
  const auto place = [](const std::filesystem::path& path) {
    std::error_code ignored;
    return path.empty() ? std::string() : std::filesystem::weakly_canonical(path, ignored).string();
  };
  return digest(fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}", place(s.data), s.id, fmt::join(s.ood, ","),
                            place(s.vocabulary), place(s.from), s.study.batch, s.pretrain_steps, s.pretrain_lr,
                            s.pretraining_share.value_or(-1), s.pretraining_crop, s.limit, s.split_seed));
}

/// What one fine-tuning depends on beside that, its method, its seed and its rate.
inline std::string run_key(const FineTuneSettings& s) {
  return digest(fmt::format("{} {} {} {} {} {} {}", pretraining_key(s), s.study.steps, s.study.micro_batch,
                            s.study.momentum, s.study.tau, s.crop, s.device));
}

}  // namespace example
