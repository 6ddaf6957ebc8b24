#pragma once
/// Where the runs of a study are kept while they go on, so that a program that was stopped goes on where it was.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "radapt/train/checkpoint.hpp"

namespace example {

/// What a run had come to.
struct RunSoFar {
  std::vector<double> losses = {};  ///< one for each step
  double seconds = 0;
};

/// A folder with a checkpoint for each method, rate and seed. Without a folder nothing is kept.
class RunFiles {
 public:
  RunFiles() = default;
  /// Keeps runs of the study `key` every so many steps, and when they end. Error: the folder has runs of another.
  RunFiles(std::filesystem::path folder, std::uint64_t every, std::string key)
      : folder_(std::move(folder)), every_(every), key_(std::move(key)) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
      if (entry.path().extension() == ".safetensors") { check_study(entry.path()); }
    }
  }

  /// Brings the trainer to where a run of this name was kept; says what it had come to. Errors: those of
  /// radapt::resume.
  template <class Trainer>
  RunSoFar resume(const std::string& run, Trainer& trainer) {
    const std::filesystem::path file = path_of(run);
    std::error_code ignored;
    if (folder_.empty() || !std::filesystem::exists(file, ignored)) { return {}; }
    const radapt::CheckpointFacts facts = radapt::resume(file, trainer);
    const auto note = [&](const char* name) {
      const auto found = facts.notes.find(name);
      return nlohmann::json::parse(found == facts.notes.end() ? "" : found->second, nullptr,
                                   /*allow_exceptions=*/false);
    };
    const nlohmann::json losses = note("losses"), seconds = note("seconds");
    const bool whole = losses.is_array() && losses.size() == facts.steps && seconds.is_number() &&
                       std::all_of(losses.begin(), losses.end(), [](const auto& loss) { return loss.is_number(); });
    if (!whole) { refuse(file, "one loss for each step, and seconds", "others"); }
    RunSoFar so_far{.losses = losses.get<std::vector<double>>(), .seconds = seconds.get<double>()};
    fmt::print("{}: going on from step {} in '{}'\n", run, facts.steps, file.string());
    kept_.push_back(file);
    return so_far;
  }

  /// Keeps the run if it has come to a step at which that is due, or to its end.
  template <class Trainer>
  void keep(const std::string& run, Trainer& trainer, std::uint64_t total, const RunSoFar& so_far) {
    if (folder_.empty() || (trainer.steps() % every_ != 0 && trainer.steps() != total)) { return; }
    std::filesystem::create_directories(folder_);
    radapt::save_checkpoint(path_of(run), trainer,
                            {{"study", key_},
                             {"losses", nlohmann::json(so_far.losses).dump()},
                             {"seconds", fmt::format("{}", so_far.seconds)}});
    kept_.push_back(path_of(run));
  }

  /// Removes what was kept, and the folder if nothing else is in it: the results are written.
  void remove() {
    std::error_code ignored;
    for (const std::filesystem::path& file : kept_) { std::filesystem::remove(file, ignored); }
    if (!kept_.empty()) { std::filesystem::remove(folder_, ignored); }
    kept_.clear();
  }

 private:
  std::filesystem::path path_of(const std::string& run) const {
    std::string name = run;
    std::replace_if(
        name.begin(), name.end(),
        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.'; }, '_');
    return folder_ / (name + ".safetensors");
  }
  void check_study(const std::filesystem::path& file) const {
    const auto opened = radapt::safetensors::open(file);
    const std::string* study = opened.metadata().find("radapt.note.study");
    if (study == nullptr || *study != key_) {
      refuse(file, "a run with the data and options of this one",
             study == nullptr ? "a file that does not say" : "another");
    }
  }
  [[noreturn]] static void refuse(const std::filesystem::path& file, const std::string& expected,
                                  const std::string& got) {
    radapt::fail({.what = "going on from '" + file.string() + "'",
                  .expected = expected,
                  .got = got,
                  .hint = "Remove it, or choose another folder for --checkpoints"});
  }

  std::filesystem::path folder_;
  std::uint64_t every_ = 1;
  std::string key_;
  std::vector<std::filesystem::path> kept_;
};

}  // namespace example
