#pragma once
/// A whole file as read-only memory, without reading it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "radapt/core/error.hpp"

namespace radapt {

/// The bytes of a regular file, mapped read-only; pages come from disk when they are first touched.
///
/// Move-only; the mapping lives as long as the object. An empty file gives an empty span. The file must not be
/// shortened by another process meanwhile: files that radapt writes are replaced as a whole, which is safe.
class MappedFile {
 public:
  MappedFile() = default;

  /// Maps `path`. Errors: it cannot be opened (with the system's reason), is not a regular file, cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path) {
    const std::string what = "mapping '" + path.string() + "'";
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) { fail({.what = what, .expected = "a readable file", .got = reason(errno), .hint = {}}); }
    struct ::stat status {};
    if (::fstat(descriptor, &status) != 0) {
      const int code = errno;
      ::close(descriptor);
      fail({.what = what, .expected = "the size of the file", .got = reason(code), .hint = {}});
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(descriptor);
      fail({.what = what,
            .expected = "a regular file",
            .got = S_ISDIR(status.st_mode) ? "a folder" : "a special file",
            .hint = {}});
    }
    if (status.st_size > 0) {
      if (static_cast<std::uintmax_t>(status.st_size) > std::numeric_limits<std::size_t>::max()) {
        ::close(descriptor);
        fail({.what = what, .expected = "a file that fits the address space", .got = "more", .hint = {}});
      }
      const std::size_t length = static_cast<std::size_t>(status.st_size);
      void* const address = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (address == MAP_FAILED) {
        const int code = errno;
        ::close(descriptor);
        fail({.what = what,
              .expected = "a mapping of " + std::to_string(length) + " bytes",
              .got = reason(code),
              .hint = {}});
      }
      address_ = address;
      length_ = length;
    }
    ::close(descriptor);
  }

  MappedFile(MappedFile&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), length_(std::exchange(other.length_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    if (this != &other) {
      release();
      address_ = std::exchange(other.address_, nullptr);
      length_ = std::exchange(other.length_, 0);
    }
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() { release(); }

  /// All bytes of the file.
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(address_), length_}; }
  std::size_t size() const { return length_; }

 private:
  static std::string reason(int code) { return std::generic_category().message(code); }

  void release() noexcept {
    if (address_ != nullptr) { ::munmap(address_, length_); }
    address_ = nullptr;
    length_ = 0;
  }

  void* address_ = nullptr;
  std::size_t length_ = 0;
};

}  // namespace radapt
