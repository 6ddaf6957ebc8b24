#pragma once
/// Where results go is looked at before the work begins: a run of an hour must not end with a folder that is not there.
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"

namespace example {

/// Returns if a file `path` can be written; an empty path is none. Nothing is left behind. Errors: its folder is not
/// there or not writable, `path` is a folder.
inline void check_output_file(const std::filesystem::path& path) {
  if (path.empty()) { return; }
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    radapt::fail({.what = "writing '" + path.string() + "'",
                  .expected = "a folder '" + folder.string() + "'",
                  .got = std::filesystem::exists(folder, ignored) ? "a file" : "nothing of that name",
                  .hint = "Make the folder first"});
  }
  const radapt::AtomicWriter probe(path);
}

/// Returns if all of them can be written, are files of their own, and none is one of `inputs`; empty paths are none.
/// Errors: as check_output_file; two are one file, of which the later would replace the earlier; one would replace what
/// is read.
inline void check_output_files(const std::vector<std::filesystem::path>& paths,
                               const std::vector<std::filesystem::path>& inputs = {}) {
  std::set<std::filesystem::path> read, known;
  for (const std::filesystem::path& path : inputs) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) { read.insert(std::filesystem::weakly_canonical(path, ignored)); }
  }
  for (const std::filesystem::path& path : paths) {
    if (path.empty()) { continue; }
    check_output_file(path);
    std::error_code ignored;
    if (read.contains(std::filesystem::weakly_canonical(path, ignored))) {
      radapt::fail({.what = "the outputs",
                    .expected = "other files than the inputs",
                    .got = "'" + path.string() + "' for both",
                    .hint = "What is read would be replaced"});
    }
    if (!known.insert(std::filesystem::weakly_canonical(path, ignored)).second) {
      radapt::fail({.what = "the outputs",
                    .expected = "a file for each",
                    .got = "'" + path.string() + "' for two",
                    .hint = "One would replace the other"});
    }
  }
}

/// Returns if a checkpoint under transformers' names can be saved in `folder`; an empty path is none. Error: one under
/// open_clip's is there, which is found only when there is something to save otherwise.
inline void check_checkpoint_folder(const std::filesystem::path& folder) {
  if (folder.empty() || !std::filesystem::exists(folder / "open_clip_model.safetensors")) { return; }
  radapt::fail({.what = "saving into '" + folder.string() + "'",
                .expected = "a folder without 'open_clip_model.safetensors'",
                .got = "that file",
                .hint = "It is another checkpoint. Remove it, or choose another folder"});
}

/// Returns if files can be written into a folder `path`, which need not exist yet; an empty path is none. Nothing is
/// left behind. Errors: what is there, or the nearest part of the path that is there, is no folder, or not writable.
inline void check_output_folder(const std::filesystem::path& path) {
  if (path.empty()) { return; }
  std::error_code ignored;
  std::filesystem::path there = std::filesystem::absolute(path).lexically_normal();
  while (!std::filesystem::exists(there, ignored) && there.has_relative_path()) { there = there.parent_path(); }
  if (!std::filesystem::is_directory(there, ignored)) {
    radapt::fail({.what = "writing into the folder '" + path.string() + "'",
                  .expected = "a folder",
                  .got = "a file '" + there.string() + "'",
                  .hint = "Choose another name"});
  }
  std::string probe = (there / "radapt-XXXXXX").string();
  if (::mkdtemp(probe.data()) == nullptr) {
    radapt::fail({.what = "writing into the folder '" + path.string() + "'",
                  .expected = "that folders can be made in '" + there.string() + "'",
                  .got = std::generic_category().message(errno),
                  .hint = "Choose another folder"});
  }
  std::filesystem::remove(probe, ignored);
}

}  // namespace example
