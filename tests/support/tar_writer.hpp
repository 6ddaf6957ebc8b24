#pragma once
/// Tar archives for tests, in any of the three dialects, with entries of any kind.
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace radapt_test {

enum class TarFormat { ustar, pax, gnu };

class TarWriter {
 public:
  explicit TarWriter(const std::filesystem::path& path, TarFormat format = TarFormat::ustar)
      : handle_(::archive_write_new()) {
    check(format == TarFormat::ustar ? ::archive_write_set_format_ustar(handle_)
          : format == TarFormat::pax ? ::archive_write_set_format_pax(handle_)
                                     : ::archive_write_set_format_gnutar(handle_));
    check(::archive_write_open_filename(handle_, path.c_str()));
  }
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;
  ~TarWriter() { ::archive_write_free(handle_); }

  void add(const std::string& name, std::span<const std::byte> bytes) {
    ::archive_entry* entry = start(name, AE_IFREG);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    finish(entry);
    if (!bytes.empty() && ::archive_write_data(handle_, bytes.data(), bytes.size()) < 0) { check(ARCHIVE_FATAL); }
  }
  void add(const std::string& name, std::string_view text) { add(name, std::as_bytes(std::span(text))); }
  void add_folder(const std::string& name) { finish(start(name, AE_IFDIR)); }
  void add_symbolic_link(const std::string& name, const std::string& target) {
    ::archive_entry* entry = start(name, AE_IFLNK);
    ::archive_entry_set_symlink(entry, target.c_str());
    finish(entry);
  }
  void add_hard_link(const std::string& name, const std::string& target) {
    ::archive_entry* entry = start(name, AE_IFREG);
    ::archive_entry_set_hardlink(entry, target.c_str());
    finish(entry);
  }
  void close() { check(::archive_write_close(handle_)); }

 private:
  ::archive_entry* start(const std::string& name, unsigned kind) {
    ::archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_filetype(entry, kind);
    ::archive_entry_set_perm(entry, 0644);
    return entry;
  }
  /// libarchive reads names in the charset of the locale.
  void finish(::archive_entry* entry) {
    const ::locale_t utf8 = ::newlocale(LC_ALL_MASK, "C.utf8", nullptr), before = ::uselocale(utf8);
    const int status = ::archive_write_header(handle_, entry);
    ::uselocale(before);
    ::freelocale(utf8);
    ::archive_entry_free(entry);
    check(status);
  }
  void check(int status) const {
    if (status < ARCHIVE_WARN) { throw std::runtime_error(std::string("tar: ") + ::archive_error_string(handle_)); }
  }

  ::archive* handle_;
};

}  // namespace radapt_test
