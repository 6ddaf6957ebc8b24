#pragma once
/// Writing a file so that a reader sees the old content or the whole new content, never a part.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"

namespace radapt {

/// A file under construction. Bytes go to a temporary file in the same folder; `commit` puts it in place of `path`:
/// flush, fsync, rename, fsync of the folder. Destroyed without commit, it removes the temporary and leaves `path`
/// alone.
class AtomicWriter {
 public:
  /// Creates the temporary file beside `path`. A symbolic link at `path` is followed, so that its target is replaced.
  /// Errors: the folder does not exist or is not writable, `path` is a folder, a device or a pipe.
  explicit AtomicWriter(const std::filesystem::path& path) : path_(target_of(path)) {
    if (std::filesystem::is_directory(path_)) {
      fail({.what = "writing '" + path_.string() + "'", .expected = "a file name", .got = "a folder", .hint = {}});
    }
    // Put in place of a device, a file would take its name from every program.
    struct ::stat old {};
    replaces_ = ::stat(path_.c_str(), &old) == 0;
    if (replaces_ && !S_ISREG(old.st_mode)) {
      fail({.what = "writing '" + path_.string() + "'",
            .expected = "a file, or nothing, of that name",
            .got = "a device or a pipe",
            .hint = "Write to a file first"});
    }
    // The number keeps writers of one process apart, the process id those of one machine; a left-over of a crashed
    // process with the same id is stepped over.
    static std::atomic<std::uint64_t> made{0};
    constexpr int attempts = 1000;
    for (int attempt = 0; descriptor_ < 0 && attempt < attempts; ++attempt) {
      std::string name = path_.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(made++) + ".partial";
      descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) {
        temporary_ = std::move(name);
      } else if (errno != EEXIST) {
        break;
      }
    }
    if (descriptor_ < 0) { fail_with("creating a temporary file beside", errno); }
    // A file that is replaced keeps its permissions.
    if (replaces_ && ::fchmod(descriptor_, old.st_mode & 0777U) != 0) {
      const int code = errno;
      discard();
      fail_with("setting the permissions of", code);
    }
    buffer_.reserve(capacity);
  }

  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;
  AtomicWriter(AtomicWriter&&) = delete;
  AtomicWriter& operator=(AtomicWriter&&) = delete;
  ~AtomicWriter() { discard(); }

  /// Appends bytes. Errors: the disk is full, or any other failure of the system, named in the message.
  void write(std::span<const std::byte> bytes) {
    if (buffer_.size() + bytes.size() <= capacity) {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
      return;
    }
    flush();
    if (bytes.size() < capacity) {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    } else {
      write_through(bytes);
    }
  }
  /// Appends text.
  void write(std::string_view text) { write(std::as_bytes(std::span<const char>(text.data(), text.size()))); }

  /// Puts the file in place. Call it once, last.
  void commit() {
    if (descriptor_ < 0) {
      fail({.what = "writing '" + path_.string() + "'", .expected = "one commit", .got = "a second one", .hint = {}});
    }
    flush();
    if (::fsync(descriptor_) != 0) { fail_with("flushing", errno); }
    const int closed = ::close(std::exchange(descriptor_, -1));
    if (closed != 0) { fail_with("closing", errno); }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) { fail_with("renaming the temporary file to", errno); }
    temporary_.clear();
    sync_folder();
  }

 private:
  static constexpr std::size_t capacity = std::size_t{1} << 16;

  static std::filesystem::path target_of(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_symlink(path, ignored)) { return path; }
    std::filesystem::path resolved = std::filesystem::weakly_canonical(path, ignored);
    return ignored ? path : resolved;
  }

  [[noreturn]] void fail_with(const std::string& action, int code) const {
    fail({.what = action + " '" + path_.string() + "'",
          .expected = {},
          .got = std::generic_category().message(code),
          .hint = replaces_ ? "The file keeps its old content" : ""});
  }

  void flush() {
    write_through(buffer_);
    buffer_.clear();
  }

  void write_through(std::span<const std::byte> bytes) {
    constexpr std::size_t largest = std::size_t{1} << 30;  // one write call takes at most about 2 GiB
    while (!bytes.empty()) {
      const ::ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), largest));
      if (written < 0) {
        if (errno == EINTR) { continue; }
        fail_with("writing", errno);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  /// Makes the rename itself durable. Some file systems cannot sync a folder (EINVAL); the content is safe there too.
  void sync_folder() const {
    const std::filesystem::path parent = path_.parent_path();
    const int folder = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) { return; }  // a folder may be writable without being readable
    const int result = ::fsync(folder);
    const int code = errno;
    ::close(folder);
    if (result != 0 && code != EINVAL && code != EROFS) {
      fail({.what = "syncing the folder of '" + path_.string() + "'",
            .expected = {},
            .got = std::generic_category().message(code),
            .hint = "The file is in place but may not survive a crash"});
    }
  }

  void discard() noexcept {
    if (descriptor_ >= 0) { ::close(std::exchange(descriptor_, -1)); }
    if (!temporary_.empty()) { ::unlink(temporary_.c_str()); }
    temporary_.clear();
  }

  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool replaces_ = false;  ///< a file that was there before
  std::vector<std::byte> buffer_;
};

/// Calls `fill(AtomicWriter&)` and puts the file in place when it returns; if it throws, `path` is left as it was.
template <class Fill>
void write_atomically(const std::filesystem::path& path, Fill&& fill) {
  AtomicWriter file(path);
  std::forward<Fill>(fill)(file);
  file.commit();
}

/// Replaces the content of `path` with `text`.
inline void write_text_atomically(const std::filesystem::path& path, std::string_view text) {
  write_atomically(path, [text](AtomicWriter& file) { file.write(text); });
}

}  // namespace radapt
